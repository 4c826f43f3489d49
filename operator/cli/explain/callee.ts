// What the sidecar of the called pod does with the call: its configuration as the operator would send it,
// prepared and judged by the sidecar's own code. Pure.

import { ports as sidecarPorts } from '../../../proxy/api/constants.ts';
import type { InboundPort } from '../../../proxy/api/resources.ts';
import { parseSpiffeId } from '../../../proxy/api/spiffe.ts';
import type { RequestHead } from '../../../proxy/codec/session.ts';
import type { LocalReply } from '../../../proxy/exchange/local-reply.ts';
import { planInbound, portOf, refusalOf } from '../../../proxy/inbound/plan.ts';
import type { PeerFacts } from '../../../proxy/net/link.ts';
import type { PreparedWorkload } from '../../../proxy/state/prepared.ts';
import { createStore } from '../../../proxy/state/store.ts';
import { objectKey, podAt, type PodEntry, type View } from '../../model/view.ts';
import { translateWorkload } from '../../translate/workload.ts';
import { CliError } from '../errors.ts';
import type { PlaceAnswer } from './answer.ts';
import type { Arrival } from './arrival.ts';
import { authorize } from './authorize.ts';
import { labelOf } from './parties.ts';
import { rateLimitsAt } from './rate-limits.ts';
import { refused } from './refusal.ts';

export function judgeArrival(view: View, namespace: string, arrival: Arrival): PlaceAnswer {
  const pod = podAt(view, arrival.address) ?? view.pods.get(objectKey(namespace, arrival.podName));
  const base = placeOf(pod ?? null, arrival);
  const unguarded = whyUnguarded(pod ?? null, arrival);
  if (pod === undefined || unguarded !== '') return { ...base, unguarded };
  if (isCapturePort(arrival.port))
    return refused(base, { code: 'own-port', detail: `port ${arrival.port}` }, true);
  const workload = workloadOf(view, pod);
  const port = portOf(workload, arrival.port);
  const mtls = { mode: port.mtls, decidedBy: port.decidedBy };
  const guarded = { ...base, mtls, rateLimits: rateLimitsAt(workload, arrival) };
  // Of plaintext the port's declaration says whether it is read; of mutual TLS the caller's sidecar did.
  const opaque = arrival.peerIdentity === null && port.protocol === 'tcp';
  const request = opaque || arrival.request === null ? null : asApp(arrival.request);
  const refusal =
    request === null ? refusalOf(port, peerOf(arrival)) : asked(port, arrival, request);
  if (refusal !== null) return refused(guarded, refusal, request === null);
  return authorize({ place: guarded, workload, arrival: { ...arrival, request } });
}

/** The plan changes the head that it is given: it gets one of its own, with fields as the app is to see them. */
function asApp(request: RequestHead): RequestHead {
  return { ...request, fields: [...request.fields] };
}

function asked(port: InboundPort, arrival: Arrival, request: RequestHead): LocalReply | null {
  const facts = { peer: peerOf(arrival), http2: false, clientCert: '', app: [] };
  const plan = planInbound(facts, port, request, () => 'explain');
  return plan.type === 'refuse' ? plan.reply : null;
}

function placeOf(pod: PodEntry | null, arrival: Arrival): PlaceAnswer {
  return {
    workload: pod === null ? `address ${arrival.address}` : labelOf(pod),
    pods: [arrival.podName === '' ? arrival.address : arrival.podName],
    port: arrival.port,
    allowed: true,
    transport: arrival.peerIdentity === null ? 'plaintext' : 'mtls',
    mtls: null,
    unguarded: '',
    refusal: null,
    readsAddress: false,
    rateLimits: [],
    authorization: null,
  };
}

function whyUnguarded(pod: PodEntry | null, { port, own }: Arrival): string {
  if (pod === null) return 'no pod of the cluster has this address';
  if (own) return 'the pod calls itself, which no sidecar sees';
  if (pod.hostNetwork) return "the pod uses the node's network";
  if (!pod.meshed) return 'the pod has no sidecar';
  if (pod.excludedInboundPorts.includes(port))
    return `the pod's annotation tsmesh.dev/exclude-inbound-ports names port ${port}`;
  return port === sidecarPorts.health ? `port ${port} is the sidecar's own, for probes` : '';
}

function isCapturePort(port: number): boolean {
  return port === sidecarPorts.inboundCapture || port === sidecarPorts.outboundCapture;
}

/** Throws where the operator would send what the sidecar refuses, which is a defect, or a gap in the checks. */
function workloadOf(view: View, pod: PodEntry): PreparedWorkload {
  const store = createStore();
  const { resource } = translateWorkload(view, pod.key)!;
  const [error] = store.apply([{ version: '1', resource }], []);
  if (error !== undefined) {
    const what = `${error.path}: ${error.message}`;
    throw new CliError('BadInput', `the sidecar of ${labelOf(pod)} would refuse this: ${what}`);
  }
  return store.snapshot().workload!;
}

function peerOf({ peerIdentity }: Arrival): PeerFacts | null {
  if (peerIdentity === null || parseSpiffeId(peerIdentity) === null) return null;
  const id = peerIdentity as PeerFacts['id'];
  return { id, notAfterMs: Infinity, certificateHash: '', generation: 0, alpn: '' };
}
