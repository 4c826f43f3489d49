// Reads sockets into one buffer that all of the process share, and hands on small copies of what came.
// Node by itself allocates 64 KiB for each read of a TCP socket, whatever comes; V8 counts them, and at 1,000
// requests per second starts a full collection several times a second for it (docs/performance.md).

import { Socket } from 'node:net';
import { Slabs } from './slabs.ts';

/** As much as one read of a TCP socket takes; a TLS record brings 16 KiB at most. */
const scratchBytes = 256 * 1024;
const slabBytes = 64 * 1024;
/**
 * Bulk data makes much memory outside V8's heap and little within it, so V8 lets it grow to 64 MiB and then
 * collects everything. Collecting what died young (0.3 ms) after so many bytes keeps to memory that the
 * processor still has in its caches: 1 GiB through two sidecars takes 32 MB of private memory instead of 86,
 * and up to a tenth less CPU.
 */
const collectAfterBytes = 8 * 1024 * 1024;

/** What Node's option `onread` sets on a socket that it makes; accepted and TLS sockets have no such option. */
interface UserBufferKeys {
  readonly buffer: symbol;
  readonly callback: symbol;
}

interface HandleWithBuffer {
  useUserBuffer?(buffer: Uint8Array): void;
}

export class SocketReader {
  /** For who borrows bytes and must keep some. */
  readonly slabs = new Slabs();
  private readonly keys = findKeys();
  private scratch: Buffer | null = null;
  private slab: Buffer = Buffer.alloc(0);
  private used = 0;
  private allocated = 0;
  private readonly collectYoung: () => void;

  constructor(collectYoung: () => void = collectorOfYoung()) {
    this.collectYoung = collectYoung;
  }

  /**
   * Calls `onBytes` with all that the socket reads from now on. The bytes are the callee's for good. The socket
   * is paused, resumed, ended and closed as any other.
   */
  attach(socket: Socket, onBytes: (bytes: Buffer) => void): void {
    // For bytes that were read or put back before; and for all of them where there is no shared buffer.
    socket.on('data', onBytes);
    this.takeOver(socket, (buffer, length) => {
      onBytes(this.copy(buffer, length));
      return true;
    });
  }

  /**
   * As `attach`, but the bytes are the callee's until it returns only, and false stops the reading until the
   * socket is resumed. Nothing is left to be read in the socket itself.
   */
  borrow(socket: Socket, onBytes: (bytes: Buffer) => boolean): void {
    socket.on('data', (chunk: Buffer) => {
      if (!onBytes(chunk)) socket.pause();
    });
    this.takeOver(socket, (buffer, length) =>
      onBytes(length === buffer.length ? buffer : buffer.subarray(0, length)),
    );
  }

  private takeOver(socket: Socket, onRead: (buffer: Buffer, length: number) => boolean): void {
    const { keys } = this;
    const handle = (socket as unknown as { _handle?: HandleWithBuffer | null })._handle;
    if (keys === null || handle?.useUserBuffer === undefined) return;
    const buffer = (this.scratch ??= Buffer.allocUnsafeSlow(scratchBytes));
    const fields = socket as unknown as Record<symbol, unknown>;
    fields[keys.buffer] = buffer;
    fields[keys.callback] = (length: number): boolean => onRead(buffer, length);
    handle.useUserBuffer(buffer);
  }

  /** Into slabs that are written once and never again, so that a receiver may keep its part. */
  private copy(buffer: Buffer, length: number): Buffer {
    if (length > slabBytes / 4) {
      const own = this.allocate(length);
      own.set(length === buffer.length ? buffer : buffer.subarray(0, length));
      return own;
    }
    if (this.slab.length - this.used < length) {
      this.slab = this.allocate(slabBytes);
      this.used = 0;
    }
    const { slab, used } = this;
    buffer.copy(slab, used, 0, length);
    this.used = used + length;
    return slab.subarray(used, used + length);
  }

  private allocate(bytes: number): Buffer {
    this.allocated += bytes;
    if (this.allocated > collectAfterBytes) {
      this.allocated = 0;
      this.collectYoung();
    }
    return Buffer.allocUnsafeSlow(bytes);
  }
}

/** Nothing where Node runs without `--expose-gc`; the image has it. */
function collectorOfYoung(): () => void {
  const { gc } = globalThis as { gc?: (options: { type: 'minor' }) => void };
  return gc === undefined ? () => undefined : () => gc({ type: 'minor' });
}

/** Null where this Node keeps them elsewhere: sockets then read as usual. */
function findKeys(): UserBufferKeys | null {
  const probe = new Socket({ onread: { buffer: Buffer.alloc(1), callback: () => true } });
  const symbols = Object.getOwnPropertySymbols(probe);
  const named = (name: string) => symbols.find(({ description }) => description === name);
  const buffer = named('kBuffer');
  const callback = named('kBufferCb');
  return buffer === undefined || callback === undefined ? null : { buffer, callback };
}
