// The whole way of one call, from the caller's sidecar to the app: puts together what each side's code says.
// Pure.

import type { RequestHead } from '../../../proxy/codec/session.ts';
import type { Pod } from '../../resources/kubernetes.ts';
import type { View } from '../../model/view.ts';
import { captureOf } from './capture.ts';
import { isInvented } from '../files/expand.ts';
import type { Answer, BackendAnswer, PlaceAnswer, Refusal, Verdict } from './answer.ts';
import { judgeArrival } from './callee.ts';
import { depart, type Departure, type Way } from './caller.ts';
import { findCaller, findTargets, type CallerParty, type TargetParty } from './parties.ts';
import type { Call } from './question.ts';

/** What a call is judged in. */
export interface Scene {
  view: View;
  /** As they are, by key: for their annotations. */
  pods: ReadonlyMap<string, Pod>;
  /** What an answer from this cannot know. */
  notes: readonly string[];
}

/** Throws a CliError where a name means nothing. */
export function judge({ view, pods, notes }: Scene, call: Call): Answer {
  const targets = findTargets(view, call);
  const target = targets[0]!;
  const caller = captured(findCaller(view, call), pods, target);
  const head = headOf(call, target);
  const departures = targets.map((one) => depart(view, caller, one, head));
  const ways = departures.flatMap((one) => one.ways);
  const backends = mergeBackends(ways.map((way) => backendOf(view, caller, call, way)));
  const { route, refusal } = departures[0]!;
  return {
    verdict: verdictOf(departures, backends),
    from: { label: caller.label, identity: caller.identity, address: caller.address },
    to: { label: target.label, address: target.address, port: target.port },
    request: head === null ? null : { method: head.method, path: head.path, host: head.authority },
    refusal,
    route: { ...route, backends },
    notes: [...caller.notes, ...notes, ...notesOf(caller, head, departures, backends)],
  };
}

/** A call that its own sidecar does not see goes out as if there was none. */
function captured(
  caller: CallerParty,
  pods: ReadonlyMap<string, Pod>,
  target: TargetParty,
): CallerParty {
  const pod = pods.get(caller.pod?.key ?? '');
  if (pod === undefined || caller.identity === null) return caller;
  const { excludedBy, notes } = captureOf(pod, target);
  if (excludedBy === '') return { ...caller, notes: [...caller.notes, ...notes] };
  const note = `the caller's annotation ${excludedBy} keeps this call out of its sidecar`;
  return { ...caller, identity: null, notes: [...caller.notes, note] };
}

function headOf({ request }: Call, target: TargetParty): RequestHead | null {
  if (request === null) return null;
  const { method, path, host, fields } = request;
  const authority = host ?? target.host;
  return { method, scheme: 'http', authority, path, upgrade: null, fields, contentLength: null };
}

function backendOf(view: View, caller: CallerParty, call: Call, way: Way): BackendAnswer {
  const { namespace } = call.to;
  const places = way.handles.map((handle) =>
    judgeArrival(view, namespace, {
      address: handle.address,
      port: handle.port,
      podName: handle.podName,
      peerIdentity: handle.identity === null ? null : caller.identity,
      peerAddress: caller.address,
      own: caller.ownAddresses.includes(handle.address),
      request: way.request,
    }),
  );
  const { endpoints, share, missing } = way;
  return { endpoints, share, missing, places: mergePlaces(places) };
}

/** Pods of one workload that decide alike are one. */
function mergePlaces(places: readonly PlaceAnswer[]): PlaceAnswer[] {
  const merged = new Map<string, PlaceAnswer>();
  for (const place of places) {
    const key = JSON.stringify({ ...place, pods: [] });
    const same = merged.get(key);
    merged.set(key, same === undefined ? place : { ...same, pods: [...same.pods, ...place.pods] });
  }
  return [...merged.values()];
}

/** The pods of a headless Service are one backend each: as many names as pods would say nothing. */
function mergeBackends(backends: readonly BackendAnswer[]): BackendAnswer[] {
  const [first] = backends;
  if (first === undefined || !backends.every((one) => one.endpoints.startsWith('pod/')))
    return [...backends];
  const places = mergePlaces(backends.flatMap((one) => one.places));
  const endpoints = backends.length === 1 ? first.endpoints : 'each pod';
  return [{ endpoints, share: 100, missing: false, places }];
}

function verdictOf(departures: readonly Departure[], backends: readonly BackendAnswer[]): Verdict {
  const refusals = departures.filter((one) => one.refusal !== null).length;
  const outcomes = backends.flatMap(({ places }) =>
    places.length === 0 ? [false] : places.map((place) => place.allowed),
  );
  const redirects = departures
    .filter(({ route }) => route.redirect !== null || route.answered !== null)
    .map(() => true);
  const all = [...outcomes, ...redirects, ...Array<boolean>(refusals).fill(false)];
  if (all.every(Boolean)) return 'allowed';
  return all.some(Boolean) ? 'mixed' : 'denied';
}

function notesOf(
  caller: CallerParty,
  head: RequestHead | null,
  departures: readonly Departure[],
  backends: readonly BackendAnswer[],
): string[] {
  const notes: string[] = [];
  if (head !== null && departures.some(({ route }) => route.protocol === 'tcp'))
    notes.push(
      'the port is declared as TCP: nobody looks into the request, and rules that need HTTP read safely',
    );
  for (const { endpoints, places, share, missing } of backends) {
    if (places.length > 0) continue;
    const why = missing ? `there is no ${endpoints}` : `no ready pod behind ${endpoints}`;
    notes.push(`${percent(share)} of the calls fail: ${why}`);
  }
  if (looksAtAddresses(backends)) {
    if (caller.address === '')
      notes.push("a rule looks at the caller's address, which is not known: say it with --ip");
    else if (isInvented(caller.address))
      notes.push(
        `a rule looks at the caller's address; ${caller.address} is made up, as files have none: say it with --ip`,
      );
  }
  return notes;
}

function looksAtAddresses(backends: readonly BackendAnswer[]): boolean {
  return backends.some(({ places }) => places.some((place) => place.readsAddress));
}

export function percent(share: number): string {
  return `${Number(share.toFixed(1))} %`;
}

/** Everything that refuses, each once. */
export function refusalsOf(answer: Answer): Refusal[] {
  const places = (answer.route?.backends ?? []).flatMap((one) => one.places);
  const all = [answer.refusal, ...places.map((place) => place.refusal)];
  const found = all.filter((one) => one !== null);
  return [...new Map(found.map((one) => [`${one.code} ${one.by}`, one])).values()];
}
