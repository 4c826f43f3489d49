// Turns the kubelet's probes and lifecycle hooks towards the sidecar's health port, where STRICT mTLS
// does not apply, and keeps the originals for the sidecar to perform; and turns them back. Pure.

import type { RewrittenProbe } from '../../proxy/api/bootstrap.ts';
import { drainHookPath, hookPath } from '../../proxy/api/bootstrap.ts';
import { ports } from '../../proxy/api/constants.ts';
import type { Container, Handler, HttpGet, PodSpec, Probe } from '../resources/kubernetes.ts';

type Check = RewrittenProbe['check'];
type Kind = 'liveness' | 'readiness' | 'startup' | 'postStart' | 'preStop';

interface Slot {
  kind: Kind;
  handler: Probe | Handler;
  timeoutSeconds: number;
  put: (handler: Probe) => void;
}

export interface ProbeRewrite {
  probes: RewrittenProbe[];
  warnings: string[];
}

/** The kubelet gives postStart no time limit of its own; the sidecar ends its try after this. */
const postStartTimeoutSeconds = 300;
const own: HttpGet = { port: ports.health, scheme: 'HTTP' };

/** Rewrites every container of the pod that runs beside the sidecar, in place. */
export function rewriteProbes(spec: PodSpec, gracePeriodSeconds: number): ProbeRewrite {
  const result: ProbeRewrite = { probes: [], warnings: [] };
  for (const container of runningContainers(spec)) {
    for (const slot of slotsOf(container, gracePeriodSeconds)) rewrite(container, slot, result);
  }
  return result;
}

/** Puts the originals back, in place: what a second injection begins with. */
export function restoreProbes(spec: PodSpec, probes: RewrittenProbe[]): void {
  const originals = new Map(probes.map((probe) => [probe.path, probe]));
  for (const container of runningContainers(spec)) {
    for (const slot of slotsOf(container, 0)) {
      const original = originals.get(slot.handler.httpGet?.path ?? '');
      if (original === undefined || slot.handler.httpGet?.port !== ports.health) continue;
      const { httpGet: _, ...rest } = slot.handler;
      slot.put({ ...rest, ...handlerOf(original.check) });
    }
  }
}

/** Gives app containers without a preStop one that waits until nothing is in flight, in place. */
export function addDrainHooks(spec: PodSpec, gracePeriodSeconds: number, hookToken: string): void {
  removeDrainHooks(spec);
  // Without a grace period the kubelet runs no hook.
  if (gracePeriodSeconds <= 0) return;
  for (const container of spec.containers) {
    if (container.lifecycle?.preStop !== undefined) continue;
    const preStop = { httpGet: { path: hookPath(drainHookPath, hookToken), ...own } };
    container.lifecycle = { ...container.lifecycle, preStop };
  }
}

/** Whatever their token: one that was copied from another pod, or written without, opens nothing here. */
export function removeDrainHooks(spec: PodSpec): void {
  for (const container of spec.containers) {
    if (!isDrainHook(container.lifecycle?.preStop?.httpGet)) continue;
    delete container.lifecycle!.preStop;
    if (Object.keys(container.lifecycle!).length === 0) delete container.lifecycle;
  }
}

function isDrainHook(get: HttpGet | undefined): boolean {
  if (get?.port !== ports.health || get.host) return false;
  return get.path === drainHookPath || get.path?.startsWith(`${drainHookPath}/`) === true;
}

/** Apps and the user's own native sidecars; other init containers have neither probes nor hooks. */
function runningContainers(spec: PodSpec): Container[] {
  const sidecars = (spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always');
  return [...sidecars, ...spec.containers];
}

function slotsOf(container: Container, gracePeriodSeconds: number): Slot[] {
  const slots: Slot[] = [];
  for (const kind of ['liveness', 'readiness', 'startup'] as const) {
    const field = `${kind}Probe` as const;
    const handler = container[field];
    if (handler === undefined) continue;
    const timeoutSeconds = handler.timeoutSeconds ?? 1;
    slots.push({ kind, handler, timeoutSeconds, put: (h) => (container[field] = h) });
  }
  for (const kind of ['postStart', 'preStop'] as const) {
    const handler = container.lifecycle?.[kind];
    if (handler === undefined) continue;
    const timeoutSeconds =
      kind === 'preStop' ? Math.max(gracePeriodSeconds, 1) : postStartTimeoutSeconds;
    slots.push({ kind, handler, timeoutSeconds, put: (h) => (container.lifecycle![kind] = h) });
  }
  return slots;
}

function rewrite(container: Container, slot: Slot, result: ProbeRewrite): void {
  const check = checkOf(container, slot.handler);
  if (check === null) return;
  if (typeof check === 'string') {
    result.warnings.push(`container ${container.name}: its ${slot.kind} ${check}; left as it is`);
    return;
  }
  const path = `/probe/${container.name}/${slot.kind}`;
  result.probes.push({ path, timeoutSeconds: slot.timeoutSeconds, check });
  const { httpGet: _http, tcpSocket: _tcp, grpc: _grpc, ...rest } = slot.handler as Probe;
  slot.put({ ...rest, httpGet: { path, ...own } });
}

/** Null: nothing to rewrite. A string says why it cannot be. */
function checkOf(container: Container, handler: Probe | Handler): Check | string | null {
  const { httpGet, tcpSocket } = handler;
  const grpc = 'grpc' in handler ? handler.grpc : undefined;
  if (grpc != null) return { type: 'grpc', port: grpc.port, service: grpc.service ?? '' };
  const socket = httpGet ?? tcpSocket;
  if (socket == null) return null;
  const port = resolvePort(container, socket.port);
  if (port === null) return `names port "${socket.port}", which the container does not declare`;
  // The sidecar's own port is not captured: the kubelet reaches it as it is.
  if (port === ports.health && !socket.host) return null;
  const host = socket.host ?? '';
  if (httpGet == null) return { type: 'tcp', host, port };
  return {
    type: 'http',
    scheme: httpGet.scheme?.toUpperCase() === 'HTTPS' ? 'https' : 'http',
    host,
    port,
    path: httpGet.path || '/',
    headers: httpGet.httpHeaders ?? [],
  };
}

/** As the kubelet does: a name of this container's ports, or a number written as text. */
function resolvePort(container: Container, port: number | string): number | null {
  if (typeof port === 'number') return port;
  const named = container.ports?.find((candidate) => candidate.name === port);
  if (named !== undefined) return named.containerPort;
  return /^\d{1,5}$/.test(port) ? Number(port) : null;
}

function handlerOf(check: Check): Probe {
  switch (check.type) {
    case 'grpc':
      return { grpc: { port: check.port, service: check.service } };
    case 'tcp':
      return { tcpSocket: { port: check.port, ...(check.host && { host: check.host }) } };
    case 'http':
      return {
        httpGet: {
          path: check.path,
          port: check.port,
          ...(check.host && { host: check.host }),
          scheme: check.scheme.toUpperCase(),
          ...(check.headers.length > 0 && { httpHeaders: check.headers }),
        },
      };
  }
}
