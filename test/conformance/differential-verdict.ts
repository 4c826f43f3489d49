// Judges what several proxies made of the same bytes: which took them, which refused, and whether two that took them
// cut them differently. Pure.
import type { Outcome } from './differential-client.ts';
import { lenient, others, ours, type ProxyName } from './differential-peers.ts';

export type Outcomes = Readonly<Record<ProxyName, Outcome>>;

/** Ended by the proxy, with an error or just so: what it did not forward it does not mean to. */
function gaveUp({ received, closed }: Outcome): boolean {
  return closed || /^HTTP\/1\.[01] [45]/m.test(received);
}

/** Forwarded nothing whole. */
export function refused(outcome: Outcome): boolean {
  return !outcome.forwarded.some(({ complete }) => complete) && !outcome.followed;
}

/** Where the two cut differently: the number of the first request that differs; -1: nowhere. */
export function firstDifference(a: Outcome, b: Outcome): number {
  const length = Math.max(a.forwarded.length, b.forwarded.length);
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.forwarded[i], b.forwarded[i]];
    if (x === undefined || y === undefined) {
      // One has a request where the other gave up, or took the plain request for the next.
      if (gaveUp(x === undefined ? a : b)) return -1;
      return i;
    }
    const [shorter, longer] = x.body.length <= y.body.length ? [x, y] : [y, x];
    const stopped = gaveUp(shorter === x ? a : b) && !shorter.complete;
    if (x.method !== y.method || !longer.body.startsWith(shorter.body)) return i;
    if (stopped || (!longer.complete && gaveUp(longer === x ? a : b))) return -1;
    if (x.body !== y.body || x.complete !== y.complete) return i;
  }
  return -1;
}

/** The first request that any two cut differently; -1: none. */
export function dispute(outcomes: Outcomes): number {
  const names: readonly ProxyName[] = [...others, ...ours, lenient];
  const all = names.map((name) => outcomes[name]);
  const at = all.flatMap((a, i) => all.slice(i + 1).map((b) => firstDifference(a, b)));
  const first = Math.min(...at.filter((one) => one >= 0), Infinity);
  return first === Infinity ? -1 : first;
}

/** How many requests it forwarded whole, the plain one behind not counted. */
export function whole({ forwarded }: Outcome): number {
  return forwarded.filter(({ complete }) => complete).length;
}

/** The statuses that the client got, for tables. */
export function statuses({ received }: Outcome): string {
  return [...received.matchAll(/HTTP\/1\.[01] (\d{3})/g)].map((match) => match[1]).join(' ');
}

/** For tables: `POST "abc" · GET`, and `+1` where the plain request came after. */
export function words(outcome: Outcome): string {
  // How much of a refused request went on before it was seen to be wrong is chance.
  const said = outcome.forwarded.filter(({ complete }) => complete || !gaveUp(outcome));
  const list = said.map(({ method, body, complete }) => {
    const shown = body.length > 12 ? `${body.length} octets` : JSON.stringify(body);
    const verb = method.length > 12 ? `${method.slice(0, 12)}…` : method;
    return `${verb}${body === '' ? '' : ` ${shown}`}${complete ? '' : ' …'}`;
  });
  const next = outcome.followed ? ['next'] : [];
  const all = [...list, ...next];
  if (all.length > 0) return all.join(' · ');
  return statuses(outcome) || (outcome.closed ? 'closed' : 'waits');
}
