// What the caller's own sidecar does with the call: which route, which endpoints, what it changes. By the
// sidecar's own code, from the configuration that the operator would send. Pure.

import type { RequestHead } from '../../../proxy/codec/session.ts';
import { planOutbound } from '../../../proxy/outbound/plan.ts';
import type { Caller } from '../../../proxy/policy/route-match.ts';
import { createRouteTable } from '../../../proxy/policy/route-table.ts';
import type {
  EndpointHandle,
  PreparedBackend,
  PreparedBackends,
  PreparedDestination,
  PreparedRoute,
  Snapshot,
} from '../../../proxy/state/prepared.ts';
import { createStore } from '../../../proxy/state/store.ts';
import type { Resource } from '../../../proxy/api/resources.ts';
import type { View } from '../../model/view.ts';
import { translateDestination } from '../../translate/destination.ts';
import { translateEndpoints } from '../../translate/endpoints.ts';
import { CliError } from '../errors.ts';
import type { Refusal, RouteAnswer } from './answer.ts';
import type { CallerParty, TargetParty } from './parties.ts';
import { refusalFrom } from './refusal.ts';

/** Endpoints that the call can go to, with the request as it is sent there. */
export interface Way {
  endpoints: string;
  share: number;
  /** It does not exist. */
  missing: boolean;
  handles: readonly EndpointHandle[];
  request: RequestHead | null;
}

export interface Departure {
  route: Omit<RouteAnswer, 'backends'>;
  ways: Way[];
  refusal: Refusal | null;
}

/** `head` null: opaque TCP. */
export function depart(
  view: View,
  caller: CallerParty,
  target: TargetParty,
  head: RequestHead | null,
): Departure {
  if (caller.identity === null) return withoutSidecar(view, target, head);
  const snapshot = snapshotFor(view, caller, target);
  const destination = [...snapshot.destinations.values()][0]!;
  if (head === null || destination.protocol === 'tcp')
    return overTcp(snapshot, destination.tcp, destination.host);
  const source = {
    namespace: caller.namespace,
    labels: new Map(Object.entries(caller.pod?.labels ?? {})),
  };
  return overHttp({ snapshot, destination, source }, head);
}

/** As Kubernetes does it: any ready pod, no route. */
function withoutSidecar(view: View, target: TargetParty, head: RequestHead | null): Departure {
  const store = createStore();
  put(store, [translateEndpoints(view, target.endpoints).resource]);
  const handles = store.snapshot().endpoints.get(target.endpoints)!.endpoints;
  const ways = [
    { endpoints: target.endpoints, share: 100, missing: false, handles, request: head },
  ];
  const route = emptyRoute('', head === null ? 'tcp' : 'http');
  return { route, ways, refusal: empty(ways, target.label, true) };
}

function snapshotFor(view: View, caller: CallerParty, target: TargetParty): Snapshot {
  const store = createStore(new Set(caller.ownAddresses));
  const { resource } = translateDestination(view, caller.namespace, target.address, target.port);
  const backends = [...resource.routes.flatMap((route) => route.backends), ...resource.tcp];
  const names = [...new Set(backends.map((backend) => backend.endpoints))];
  put(store, [resource, ...names.map((name) => translateEndpoints(view, name).resource)]);
  return store.snapshot();
}

function put(store: ReturnType<typeof createStore>, resources: Resource[]): void {
  const [error] = store.apply(
    resources.map((resource) => ({ version: '1', resource })),
    [],
  );
  if (error === undefined) return;
  const what = `${error.key} ${error.path}: ${error.message}`;
  throw new CliError('BadInput', `the caller's sidecar would refuse this: ${what}`);
}

function overTcp(snapshot: Snapshot, backends: PreparedBackends, host: string): Departure {
  const ways = shares(backends).map(({ endpoints, missing, share }): Way => {
    if (missing !== null) return lostWay(missing, share);
    const handles = snapshot.endpoints.get(endpoints)?.endpoints ?? [];
    return { endpoints, share, missing: false, handles, request: null };
  });
  const route = emptyRoute('', 'tcp');
  if (ways.length === 0)
    return { route, ways, refusal: refusalFrom({ code: 'no-backends', detail: host }, true) };
  return { route, ways, refusal: empty(ways, host, true) };
}

interface Sending {
  snapshot: Snapshot;
  destination: PreparedDestination;
  source: Caller;
}

function overHttp(sending: Sending, head: RequestHead): Departure {
  const { destination, source } = sending;
  const found = destination.table.find(head, source);
  const plan = planAt(sending, head, 0);
  const route = found === null ? emptyRoute('', 'http') : routeOf(found.route);
  if (plan.type === 'redirect') {
    const { status, location } = plan;
    return { route: { ...route, redirect: { status, location } }, ways: [], refusal: null };
  }
  if (plan.type === 'respond') {
    const { status } = plan.response;
    return { route: { ...route, answered: { status } }, ways: [], refusal: null };
  }
  if (plan.type === 'refuse' && found?.route.backends.list.every(isLost) !== false) {
    return { route, ways: [], refusal: refusalFrom(plan.reply, false) };
  }
  const ways = shares(found!.route.backends).map(({ endpoints, missing, share, random }): Way => {
    if (missing !== null) return lostWay(missing, share);
    const chosen = planAt(sending, head, random);
    if (chosen.type !== 'forward' || chosen.endpointsName !== endpoints)
      throw new Error(`the plan for ${endpoints} leads elsewhere`);
    return { endpoints, share, missing: false, handles: chosen.endpoints, request: chosen.head };
  });
  return { route, ways, refusal: empty(ways, destination.host, false) };
}

/** `what`: that does not exist. */
function lostWay(what: string, share: number): Way {
  return { endpoints: what, share, missing: true, handles: [], request: null };
}

/** Nothing goes there, or it does not exist. */
function isLost({ weight, missing }: PreparedBackend): boolean {
  return weight === 0 || missing !== null;
}

/** The plan can change the head that it is given: it gets one of its own. Faults and copies are left to chance: not asked. */
function planAt({ snapshot, destination, source }: Sending, head: RequestHead, random: number) {
  const own = { ...head, fields: [...head.fields] };
  const routes = destination.routes.map((route) => ({ ...route, fault: null, mirrors: null }));
  const calm = { ...destination, routes, table: createRouteTable(routes) };
  const sources = { random: () => random, nextRequestId: () => 'explain' };
  const facts = {
    snapshot,
    destination: calm,
    caller: source,
    http2: false,
    sources,
    sourceAddress: '',
  };
  return planOutbound(facts, own);
}

/** Each backend that gets a share, and a random number that picks it. */
function shares(
  backends: PreparedBackends,
): { endpoints: string; missing: string | null; share: number; random: number }[] {
  let before = 0;
  return backends.list.flatMap(({ endpoints, missing, weight }) => {
    const middle = (before + weight / 2) / backends.totalWeight;
    before += weight;
    if (weight === 0) return [];
    return [{ endpoints, missing, share: (100 * weight) / backends.totalWeight, random: middle }];
  });
}

/** Null where any way leads somewhere. */
function empty(ways: readonly Way[], detail: string, opaque: boolean): Refusal | null {
  if (ways.some((way) => way.handles.length > 0)) return null;
  return refusalFrom({ code: 'no-endpoints', detail }, opaque);
}

function emptyRoute(name: string, protocol: 'http' | 'tcp'): Departure['route'] {
  return {
    name,
    protocol,
    timeoutMs: null,
    retries: 0,
    changes: [],
    redirect: null,
    answered: null,
  };
}

function routeOf(route: PreparedRoute): Departure['route'] {
  return {
    ...emptyRoute(route.name, 'http'),
    timeoutMs: route.timeoutMs,
    retries: route.retry?.attempts ?? 0,
    changes: changesOf(route),
  };
}

function changesOf({ rewrite, requestHeaders, fault, mirrors }: PreparedRoute): string[] {
  const changes: string[] = [];
  const path = rewrite?.path ?? null;
  if (path !== null)
    changes.push('full' in path ? `path becomes ${path.full}` : `prefix becomes ${path.prefix}`);
  if (rewrite?.host != null) changes.push(`host becomes ${rewrite.host}`);
  for (const { name, value } of requestHeaders?.set ?? []) changes.push(`sets ${name}: ${value}`);
  for (const { name, value } of requestHeaders?.add ?? []) changes.push(`adds ${name}: ${value}`);
  for (const name of requestHeaders?.remove ?? []) changes.push(`removes ${name}`);
  const { delay = null, abort = null } = fault ?? {};
  if (delay !== null) changes.push(`holds ${delay.percent} % back for ${delay.ms} ms`);
  if (abort !== null) changes.push(`answers ${abort.percent} % with ${abort.httpStatus} (fault)`);
  for (const { endpoints, percent } of mirrors ?? [])
    changes.push(`copies ${percent} % to ${endpoints}`);
  return changes;
}
