// A random conversation of two sessions over a transport in memory, and the check that each end heard what the other
// said. Knows sessions, not protocols.
import type {
  ClientSession,
  ClientStream,
  RequestHead,
  ResponseHead,
} from '../../proxy/codec/session.ts';
import type { ServerSession, ServerStream, Session } from '../../proxy/codec/session.ts';
import { Talk, heardBy, scriptOf } from './pair-script.ts';
import type { Script } from './pair-script.ts';
import type { Random } from './random.ts';
import { must, mustEqual } from './target.ts';

const MOST_EXCHANGES = 6;
/** Rounds in which everybody does all that there is to do; each must bring something until all is done. */
const MOST_ROUNDS = 3000;

/** One direction of the transport. */
class Wire {
  #bytes: Buffer = Buffer.alloc(0);
  ended = false;
  readonly #from: Session;
  readonly #to: Session;

  constructor(from: Session, to: Session) {
    this.#from = from;
    this.#to = to;
  }

  get idle(): boolean {
    return this.#bytes.length === 0 && !this.#from.hasOutput && this.ended === this.#from.closing;
  }

  /** What the sender owes goes on the wire. */
  load(): void {
    this.#bytes = Buffer.concat([this.#bytes, ...this.#from.takeOutput()]);
  }

  deliver(most: number, nowMs: number): void {
    const part = Buffer.from(this.#bytes.subarray(0, most));
    this.#bytes = this.#bytes.subarray(part.length);
    if (part.length > 0) this.#to.receive(part, nowMs);
    if (this.#bytes.length > 0 || this.#from.hasOutput || !this.#from.closing || this.ended) return;
    this.ended = true;
    if (this.#from.aborting) this.#to.close();
    else this.#to.receiveEnd(nowMs);
  }
}

export class Conversation {
  readonly #random: Random;
  readonly #client: ClientSession;
  readonly #server: ServerSession;
  readonly #scripts: Script[];
  readonly #asks: Talk<RequestHead, ResponseHead>[] = [];
  readonly #answers: (Talk<ResponseHead, RequestHead> | undefined)[] = [];
  readonly #up: Wire;
  readonly #down: Wire;
  /** Somebody gave something up: not everything need arrive, but what arrives must be right. */
  #disturbed = false;
  #nowMs = 0;

  constructor(
    random: Random,
    client: ClientSession,
    server: ServerSession,
    tunnels: 'last' | 'any',
  ) {
    this.#random = random;
    this.#client = client;
    this.#server = server;
    this.#up = new Wire(client, server);
    this.#down = new Wire(server, client);
    const count = random.between(1, MOST_EXCHANGES);
    this.#scripts = Array.from({ length: count }, (_, i) =>
      scriptOf(random, i, tunnels === 'any' || i === count - 1),
    );
    server.onRequest = (stream, head, end) => this.#onRequest(stream, head, end);
  }

  run(): void {
    const disturbing = this.#random.oneIn(2);
    // Requests that are sent before the server's limits are known may be refused.
    if (disturbing && this.#random.oneIn(2)) this.#disturbed = true;
    else this.#greet();
    for (let left = this.#random.between(5, 150); left > 0; left--) this.#step(disturbing);
    this.#finish();
    this.#check();
  }

  #greet(): void {
    for (const wire of [this.#up, this.#down]) {
      wire.load();
      wire.deliver(Infinity, this.#nowMs);
    }
  }

  #onRequest(stream: ServerStream, head: RequestHead, end: boolean) {
    const at = head.fields.indexOf('x-n');
    must(at >= 0, 'a request comes without its number', () => head);
    const n = Number(head.fields[at + 1]);
    must(this.#answers[n] === undefined, 'a request comes twice', () => n);
    const talk = new Talk<ResponseHead, RequestHead>(this.#scripts[n]!.answer);
    talk.stream = stream;
    talk.got.onHead(head, end);
    this.#answers[n] = talk;
    return talk.got;
  }

  #open(): boolean {
    const script = this.#scripts[this.#asks.length];
    if (script === undefined || this.#client.capacity === 0) return false;
    const talk = new Talk<RequestHead, ResponseHead>(script.ask);
    this.#asks.push(talk);
    const { head, ends } = talk.script;
    talk.stream = this.#client.open(head!, ends, talk.got);
    talk.begun(ends);
    return true;
  }

  #step(disturbing: boolean): void {
    const random = this.#random;
    const talks = [...this.#asks, ...this.#answers.filter((one) => one !== undefined)];
    const talk = talks.length > 0 ? random.pick(talks) : null;
    switch (random.below(9)) {
      case 0:
        this.#open();
        break;
      case 1:
      case 2:
        talk?.say();
        break;
      case 3:
        talk?.consume(random.between(1, 5000));
        break;
      case 4:
      case 5:
        this.#move(this.#up);
        break;
      case 6:
      case 7:
        this.#move(this.#down);
        break;
      default:
        if (disturbing && random.oneIn(4)) this.#disturb(talk);
        else this.#passTime();
    }
  }

  #move(wire: Wire): void {
    wire.load();
    wire.deliver(this.#random.size(5000), this.#nowMs);
  }

  #passTime(): void {
    this.#nowMs += this.#random.below(50);
    for (const session of [this.#client, this.#server]) {
      const due = session.nextTimeoutMs();
      if (due !== null && due <= this.#nowMs) session.onTimeout(this.#nowMs);
    }
  }

  #disturb(talk: { stream: ClientStream | ServerStream | null; reset(): void } | null): void {
    this.#disturbed = true;
    switch (this.#random.below(6)) {
      case 0:
        return this.#client.drain();
      case 1:
        return this.#server.drain();
      default:
        talk?.reset();
    }
  }

  /** Everybody says and reads everything, until all is said and read or nothing moves. */
  #finish(): void {
    for (let round = 0; ; round++) {
      must(round < MOST_ROUNDS, 'the conversation never ends', () => this.#state());
      let moved = this.#open();
      for (const talk of [...this.#asks, ...this.#answers]) {
        if (talk === undefined) continue;
        moved = talk.say() || moved;
        moved = talk.consume(Infinity) || moved;
      }
      for (const wire of [this.#up, this.#down]) {
        moved = !wire.idle || moved;
        wire.load();
        wire.deliver(Infinity, this.#nowMs);
      }
      if (!moved) break;
    }
    this.#client.close();
    this.#server.close();
  }

  #state(): unknown {
    const { error, openStreams } = this.#client;
    return [error, openStreams, this.#server.error, this.#server.openStreams, this.#asks.length];
  }

  #check(): void {
    for (const [n, { ask, answer }] of this.#scripts.entries()) {
      heardBy(this.#answers[n]?.got, ask, `request ${n}`, this.#disturbed);
      heardBy(this.#asks[n]?.got, answer, `answer ${n}`, this.#disturbed);
      const heard = this.#answers[n] !== undefined;
      must(!heard || this.#asks[n] !== undefined, 'a request that nobody sent');
    }
    const open = [this.#client.openStreams, this.#server.openStreams];
    mustEqual(open, [0, 0], 'streams that never end');
    if (this.#disturbed) return;
    mustEqual([this.#client.error, this.#server.error], [null, null], 'an error out of nothing');
  }
}
