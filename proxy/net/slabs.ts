// Buffers for bulk data, used again and again: whoever takes one gives it back when nobody refers to it any
// more, or leaves it to the garbage collector.

/** Large enough that a write costs little beside its bytes; small enough for thousands of slow receivers. */
export const bulkSlabBytes = 128 * 1024;
const maxSpare = 8;

export class Slabs {
  private readonly spare: Buffer[] = [];

  take(): Buffer {
    return this.spare.pop() ?? Buffer.allocUnsafeSlow(bulkSlabBytes);
  }

  giveBack(slab: Buffer): void {
    if (this.spare.length < maxSpare) this.spare.push(slab);
  }
}
