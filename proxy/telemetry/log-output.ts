// Standard output as the sidecar's own log uses it: where nobody reads it, the disk behind it is full or it is gone, lines are lost and
// counted, and all else goes on. The access log has bounds of its own on the same stream.

import type { Writable } from 'node:stream';

/** Held while nobody reads: some hundred lines. */
const maxHeldBytes = 256 * 1024;

export class LogOutput {
  /** Lines lost. */
  dropped = 0;
  private readonly stream: Writable;
  /** What of them was told in the log itself. */
  private told = 0;

  constructor(stream: Writable) {
    this.stream = stream;
    // Without a listener an error (EPIPE, ENOSPC) would end the process, and the traffic of its pod with it.
    stream.on('error', () => (this.dropped += 1));
  }

  write(line: string): void {
    if (this.stream.writableLength > maxHeldBytes) {
      this.dropped += 1;
      return;
    }
    if (this.dropped > this.told) this.tell();
    this.stream.write(line);
  }

  private tell(): void {
    const lost = this.dropped - this.told;
    this.told = this.dropped;
    const message = 'lines of this log were lost: standard output was not read, or is full';
    this.stream.write(`${JSON.stringify({ level: 'warn', message, lost })}\n`);
  }
}
