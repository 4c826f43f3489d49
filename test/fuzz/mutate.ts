// Spoils valid input a little: single octets, runs that are repeated, moved or lost, words that parsers care about.
// Knows no format.
import type { Random } from './random.ts';

const OCTETS = [0, 1, 9, 10, 13, 32, 58, 59, 44, 0x7f, 0x80, 0xff, 0x30, 0x41];

export function mutate(random: Random, bytes: Buffer, words: readonly string[]): Buffer {
  let result = bytes;
  for (let left = random.between(1, 4); left > 0; left--) result = once(random, result, words);
  return result;
}

function once(random: Random, bytes: Buffer, words: readonly string[]): Buffer {
  const at = random.below(bytes.length + 1);
  const end = Math.min(bytes.length, at + random.size(200));
  const before = bytes.subarray(0, at);
  const after = bytes.subarray(end);
  switch (random.below(7)) {
    case 0:
      return replaced(bytes, at, random.next());
    case 1:
      return replaced(bytes, at, random.pick(OCTETS));
    case 2:
      return replaced(bytes, at, (bytes[at] ?? 0) ^ (1 << random.below(8)));
    case 3:
      return Buffer.concat([before, after]);
    case 4:
      return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
    case 5:
      return Buffer.concat([before, Buffer.from(random.pick(words), 'latin1'), bytes.subarray(at)]);
    default:
      return Buffer.concat([before, random.bytes(random.below(8)), bytes.subarray(at)]);
  }
}

function replaced(bytes: Buffer, at: number, octet: number): Buffer {
  const copy = Buffer.from(bytes);
  if (at < copy.length) copy[at] = octet;
  return copy;
}
