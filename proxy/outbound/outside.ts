// A connection to a place outside the mesh, as it is counted and logged: by the host that the app claims in its first
// bytes, or by its address. It only looks at what passes: nothing is held back, changed or decided by it.

import { claimedHost, MAX_CLAIM_BYTES, type HostClaim } from '../codec/claimed-host.ts';
import { detect, type Detected } from '../codec/detect.ts';
import type { TunnelObserver } from '../exchange/tunnel.ts';
import type { OriginalDestination } from '../net/original-destination.ts';
import type { OutsideCounters, OutsideFigures, OutsidePlace } from '../telemetry/outside.ts';

/** Bytes kept at one time of heads that came in part, over all connections of a sidecar. */
export interface HeldBytes {
  left: number;
}

export const maxHeldBytes = 4 << 20;

/** Finds the claim of one connection; bytes are kept only where one piece did not say it. */
export class ClaimReader {
  private readonly room: HeldBytes;
  private held: Buffer | null = null;
  private length = 0;

  constructor(room: HeldBytes) {
    this.room = room;
  }

  /** `piece` is only lent. */
  add(piece: Buffer): HostClaim | 'need-more' | 'none' {
    const seen = this.held === null ? piece : this.join(piece);
    const claim = seen === null ? 'none' : claimedHost(seen);
    if (claim !== 'need-more') this.release();
    else if (this.held === null && this.join(piece) === null) return 'none';
    return claim;
  }

  /** Gives back what it keeps. */
  release(): void {
    this.room.left += this.held?.length ?? 0;
    this.held = null;
    this.length = 0;
  }

  /** Null where there is no room for it. */
  private join(piece: Buffer): Buffer | null {
    const part = piece.subarray(0, MAX_CLAIM_BYTES - this.length);
    const need = this.length + part.length;
    const size = this.held?.length ?? 0;
    if (need > size && !this.grow(need)) return null;
    part.copy(this.held!, this.length);
    this.length = need;
    return this.held!.subarray(0, need);
  }

  private grow(need: number): boolean {
    const size = Math.min(Math.max(2 * need, 1024), MAX_CLAIM_BYTES);
    const before = this.held;
    if (size - (before?.length ?? 0) > this.room.left) return false;
    this.room.left -= size - (before?.length ?? 0);
    this.held = Buffer.allocUnsafeSlow(size);
    before?.copy(this.held, 0, 0, this.length);
    return true;
  }
}

/** Follows one tunnel that leaves the mesh. */
export class OutsideTunnel implements TunnelObserver {
  private readonly counters: OutsideCounters;
  private readonly target: OriginalDestination;
  private readonly reader: ClaimReader;
  private claim: HostClaim | null = null;
  private figures: OutsideFigures | null = null;

  constructor(counters: OutsideCounters, target: OriginalDestination, room: HeldBytes) {
    this.counters = counters;
    this.target = target;
    this.reader = new ClaimReader(room);
  }

  sees(bytes: Buffer): boolean {
    const claim = this.reader.add(bytes);
    if (claim === 'need-more') return true;
    this.count(claim === 'none' ? null : claim);
    return false;
  }

  ended(sentBytes: number, receivedBytes: number): void {
    this.reader.release();
    const figures = this.figures ?? this.count(null);
    figures.sentBytes += sentBytes;
    figures.receivedBytes += receivedBytes;
  }

  logFields(): { claimedHost?: string; claimedBy?: HostClaim['by'] } {
    return this.claim === null ? {} : { claimedHost: this.claim.host, claimedBy: this.claim.by };
  }

  private count(claim: HostClaim | null): OutsideFigures {
    this.claim = claim;
    this.figures = this.counters.at(placeOf(claim, this.target));
    this.figures.connections += 1;
    return this.figures;
  }
}

function placeOf(claim: HostClaim | null, target: OriginalDestination): OutsidePlace {
  const { address, port } = target;
  return claim === null ? { host: address, port, by: 'address' } : { ...claim, port };
}

/** For refusals: where the app connected, and what it says that is. */
function claimText(destination: string, claim: HostClaim | null): string {
  if (claim === null) return destination;
  return `${destination}, called ${claim.host} by its ${claim.by === 'sni' ? 'TLS server name' : 'Host'}`;
}

/** What a connection that is refused says it wanted, which is looked for in what comes before it is told. */
export class RefusedClaim {
  private readonly counters: OutsideCounters;
  private readonly target: OriginalDestination;
  private claim: HostClaim | null = null;

  constructor(counters: OutsideCounters, target: OriginalDestination) {
    this.counters = counters;
    this.target = target;
  }

  /** As codec/detect, but that a ClientHello and a head are waited for up to their name. */
  detect(bytes: Buffer): Detected {
    const detected = detect(bytes);
    if (detected === 'need-more' || detected === 'other') return detected;
    const claim = claimedHost(
      bytes.length > MAX_CLAIM_BYTES ? bytes.subarray(0, MAX_CLAIM_BYTES) : bytes,
    );
    if (claim === 'need-more') return claim;
    if (claim !== 'none') this.claim = claim;
    return detected;
  }

  /** Counts it; the detail of the refusal. */
  count(destination: string): string {
    this.counters.at(placeOf(this.claim, this.target)).refused += 1;
    return claimText(destination, this.claim);
  }
}
