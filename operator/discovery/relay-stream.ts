// The leader's end of a relay: another replica of the operator says what its sidecars acknowledged.

import { systemNamespace } from '../../proxy/api/constants.ts';
import { formatSpiffeId } from '../../proxy/api/spiffe.ts';
import { operatorServiceAccount } from '../ca/operator-identity.ts';
import type { Peer } from './admission.ts';
import type { Call, CallHandlers } from './call.ts';
import { refusal } from './refusals.ts';
import type { Refusal } from './refusals.ts';
import { parseRelayMessage } from './relay-messages.ts';
import type { StreamTable } from './stream-table.ts';

export interface RelayHost {
  table: StreamTable;
  trustDomain(): string;
  /** A newer relay of the same replica takes the place of an older one. */
  relays: Map<string, RelayStream>;
  onChanged(): void;
  onClosed(stream: RelayStream, refused: Refusal | null): void;
}

export class RelayStream implements CallHandlers {
  readonly #call: Call;
  readonly #host: RelayHost;
  #replica: string | null = null;

  constructor(call: Call, host: RelayHost) {
    this.#call = call;
    this.#host = host;
    const wrong = operatorRefusal(call.peer, host.trustDomain());
    if (wrong !== null) queueMicrotask(() => call.fail(wrong));
  }

  end(reason: Refusal): void {
    this.#call.fail(reason);
  }

  onMessage(text: string): void {
    if (operatorRefusal(this.#call.peer, this.#host.trustDomain()) !== null) return;
    const message = parseRelayMessage(text);
    if (message === null) return this.end(refusal('malformed', 'the message is not JSON'));
    if (message.hello !== undefined) return this.#begin(String(message.hello.replica));
    if (this.#replica === null) return this.end(refusal('malformed', 'hello must come first'));
    this.#host.table.take(this.#replica, message);
    const { streams = [], gone = [], observed, trust } = message;
    const changed = streams.length + gone.length > 0 || observed !== undefined;
    if (changed || trust !== undefined) this.#host.onChanged();
  }

  onPeerEnd(): void {
    this.#call.end();
  }

  onClose(refused: Refusal | null): void {
    if (this.#replica !== null && this.#host.relays.get(this.#replica) === this) {
      this.#host.relays.delete(this.#replica);
      this.#host.table.end(this.#replica);
      this.#host.onChanged();
    }
    this.#host.onClosed(this, refused);
  }

  #begin(replica: string): void {
    const older = this.#host.relays.get(replica);
    this.#replica = replica;
    this.#host.relays.set(replica, this);
    this.#host.table.begin(replica);
    older?.end(refusal('replaced', ''));
    this.#call.accept();
  }
}

function operatorRefusal(peer: Peer, trustDomain: string): Refusal | null {
  const expected = formatSpiffeId({
    trustDomain,
    namespace: systemNamespace,
    serviceAccount: operatorServiceAccount,
  });
  const proved = formatSpiffeId(peer.identity);
  if (proved === expected) return null;
  return refusal('not-an-operator', `only ${expected} may relay; this is ${proved}`);
}
