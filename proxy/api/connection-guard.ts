// For operator and sidecar alike: how many connections a listener takes, and from whom: whoever reaches the port can connect, before any
// certificate is looked at. It counts connections and closes them; what they carry is not known here.

/** Of a net.Socket and of a net.Server (or what is made of one), as much as is used here. */
interface Socket {
  readonly remoteAddress?: string | undefined;
  once(event: 'close', listener: () => void): unknown;
  resetAndDestroy(): unknown;
}
interface Server {
  on(event: 'connection', listener: (socket: Socket) => void): unknown;
}

export interface ConnectionLimits {
  /** Of all addresses together. Beyond it the address with the most gives up its oldest. */
  total: number;
  /** Open at once from one address; absent: only its fair share when all are taken. */
  perAddress?: number;
  /** New ones from one address. */
  rate?: { perSecond: number; burst: number };
}

export interface GuardDeps {
  nowMs: () => number;
  /** A connection was closed for the sake of a limit; at most once a second. */
  onRefused: (reason: string, address: string) => void;
}

interface Bucket {
  tokens: number;
  lastMs: number;
}

/** Addresses remembered for `rate` at most; one that was quiet long enough is forgotten first. */
const maxBuckets = 8192;
const noticeMs = 1000;

export function guardConnections(server: Server, limits: ConnectionLimits, deps: GuardDeps): void {
  const guard = new Guard(limits, deps);
  server.on('connection', (socket) => guard.take(socket));
}

class Guard {
  readonly #limits: ConnectionLimits;
  readonly #deps: GuardDeps;
  /** Each in the order in which they came. */
  readonly #open = new Map<string, Set<Socket>>();
  readonly #buckets = new Map<string, Bucket>();
  #count = 0;
  #noticedMs = -Infinity;

  constructor(limits: ConnectionLimits, deps: GuardDeps) {
    this.#limits = limits;
    this.#deps = deps;
  }

  take(socket: Socket): void {
    const address = socket.remoteAddress ?? '';
    const reason = this.#judge(address);
    if (reason !== null) {
      this.#notice(reason, address);
      socket.resetAndDestroy();
      return;
    }
    const mine = this.#open.get(address) ?? new Set();
    this.#open.set(address, mine);
    mine.add(socket);
    this.#count += 1;
    socket.once('close', () => {
      mine.delete(socket);
      if (mine.size === 0 && this.#open.get(address) === mine) this.#open.delete(address);
      this.#count -= 1;
    });
  }

  /** Null: welcome. */
  #judge(address: string): string | null {
    const { total, perAddress, rate } = this.#limits;
    const own = this.#open.get(address)?.size ?? 0;
    if (rate !== undefined && !this.#isRare(address, rate)) return 'too often from one address';
    if (perAddress !== undefined && own >= perAddress) return 'too many from one address';
    if (this.#count < total) return null;
    return this.#makeRoom(own) ? null : 'too many';
  }

  /** Max-min fair: nobody is closed out by those who have more than he would then have. */
  #makeRoom(own: number): boolean {
    let most: Set<Socket> = new Set();
    for (const sockets of this.#open.values()) if (sockets.size > most.size) most = sockets;
    const [oldest] = most;
    if (oldest === undefined || most.size <= own + 1) return false;
    this.#notice('too many: the oldest of the address with the most', oldest.remoteAddress ?? '');
    oldest.resetAndDestroy();
    return true;
  }

  #isRare(address: string, rate: { perSecond: number; burst: number }): boolean {
    const nowMs = this.#deps.nowMs();
    const known = this.#buckets.get(address) ?? { tokens: rate.burst, lastMs: nowMs };
    const earned = ((nowMs - known.lastMs) / 1000) * rate.perSecond;
    const tokens = Math.min(rate.burst, known.tokens + earned);
    this.#buckets.delete(address);
    this.#buckets.set(address, { tokens: Math.max(0, tokens - 1), lastMs: nowMs });
    if (this.#buckets.size > maxBuckets) this.#buckets.delete(this.#buckets.keys().next().value!);
    return tokens >= 1;
  }

  #notice(reason: string, address: string): void {
    const nowMs = this.#deps.nowMs();
    if (nowMs - this.#noticedMs < noticeMs) return;
    this.#noticedMs = nowMs;
    this.#deps.onRefused(reason, address);
  }
}
