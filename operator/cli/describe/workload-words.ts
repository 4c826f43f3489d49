// What else a sidecar is told of its own pod, in words: limits, the access log, tracing, and what becomes of destinations that nobody
// knows. Pure.

import type { Authorization } from '../../../proxy/api/authorization.ts';
import type { RateLimit, WorkloadResource } from '../../../proxy/api/resources.ts';
import type { PeerAuthenticationSpec } from '../../resources/tsmesh.ts';
import { printable } from '../tap/lines.ts';
import { anyOf } from './units.ts';
import { matchWords } from './words.ts';

/** `TrafficPolicy shop/cart, rate limit api: 100 requests/s, 200 at once, for each identity, port 8080: GET`. */
export function rateLimitWords(limit: RateLimit): string {
  const { name, ports, unit, perSecond, burst, matches, per } = limit;
  const each = per.map((one) => {
    if ('header' in one) return `value of header ${one.header}`;
    return 'identity' in one ? 'identity' : 'caller’s address';
  });
  return [
    `${name}: ${rateWords(perSecond, unit)}, ${burst} at once`,
    ...(each.length === 0 ? [] : [`for each ${each.join(' and ')}`]),
    ...(ports.length === 0 ? [] : [`port ${anyOf(ports)}`]),
    ...(matches.length === 0 ? [] : [`of ${matchWords(matches)}`]),
  ].join(', ');
}

const minute = 60;
const hour = 3600;

/** As its author may have said it: what is no whole number in a second is one in a minute or an hour. */
function rateWords(perSecond: number, unit: string): string {
  const isWhole = (count: number) => Math.abs(count - Math.round(count)) < 1e-6;
  for (const [seconds, name] of [
    [1, 's'],
    [minute, 'min'],
    [hour, 'h'],
  ] as const) {
    if (isWhole(perSecond * seconds)) return `${Math.round(perSecond * seconds)} ${unit}/${name}`;
  }
  return `${Number(perSecond.toPrecision(3))} ${unit}/s`;
}

/** What no policy of its own says: what it is about, and what holds. */
export function workloadSettings(workload: WorkloadResource): { about: string; says: string }[] {
  const tracing = tracingWords(workload);
  return [
    ...ambiguousPathWords(workload).map((says) => ({ about: 'Paths', says })),
    { about: 'Access log', says: accessLogWords(workload) },
    ...(tracing === null ? [] : [{ about: 'Tracing', says: tracing }]),
    { about: 'Outbound', says: outboundWords(workload) },
  ];
}

/** `mTLS STRICT; PERMISSIVE at 9090; for pods with app=cart`. */
export function authenticationWords(spec: PeerAuthenticationSpec): string {
  const { mtls, portLevelMtls = {}, selector } = spec;
  const labels = Object.entries(selector?.matchLabels ?? {}).map(
    ([key, value]) => `${key}=${value}`,
  );
  return [
    `mTLS ${mtls?.mode ?? 'UNSET'}`,
    ...Object.entries(portLevelMtls).map(([port, { mode = 'UNSET' }]) => `${mode} at ${port}`),
    labels.length === 0 ? 'for the namespace' : `for pods with ${labels.join(', ')}`,
  ].join('; ');
}

/** Who may call, before the rules are read. */
export function callersOf(authorization: Authorization | undefined): string {
  const enforced = (authorization?.policies ?? []).filter(({ dryRun }) => !dryRun);
  const denied = enforced.some(({ action }) => action === 'DENY')
    ? ', but whom a DENY rule matches'
    : '';
  if (enforced.some(({ action }) => action === 'ALLOW'))
    return `whom an ALLOW rule matches${denied}; all others are refused`;
  if (denied !== '') return `everyone whom mTLS lets in${denied}`;
  return enforced.length === 0
    ? 'no AuthorizationPolicy: everyone whom mTLS lets in'
    : 'everyone whom mTLS lets in';
}

/** `errors, as json (Mesh default)`. */
function accessLogWords(workload: WorkloadResource): string {
  const { accessLog, accessLogFormat = 'json', accessLogSampling = 100 } = workload;
  const by = workload.accessLogDecidedBy ?? 'Mesh default';
  if (accessLog === 'off') return `none (${by})`;
  const sampled =
    accessLog === 'all' && accessLogSampling < 100
      ? `what failed, and ${accessLogSampling} % of the rest`
      : { all: 'all requests', errors: 'what failed' }[accessLog];
  return `${sampled}, as ${accessLogFormat} (${by})`;
}

/** What a destination that is no Service and no pod of the cluster meets. */
function outboundWords({ outbound: { policy, whenDisconnected } }: WorkloadResource): string {
  if (policy === 'RegistryOnly') return 'RegistryOnly: what the cluster does not know is refused';
  const away =
    whenDisconnected === 'pass'
      ? ''
      : ', but refused while the operator is away, as it may be a peer that asks for mTLS';
  return `AllowAny: what the cluster does not know is carried as it is${away}`;
}

/** Null: nothing is traced. */
function tracingWords({ tracing }: WorkloadResource): string | null {
  if (tracing === undefined) return null;
  const { collector, sampling, samplingOfPorts } = tracing;
  const ports = Object.entries(samplingOfPorts).map(
    ([port, share]) => `${share} % at port ${port}`,
  );
  const shares = [`${sampling} % of the traces that begin here`, ...ports].join(', ');
  return `${shares}, to ${collector.endpoint} (OTLP by ${collector.protocol})`;
}

/** Empty: read each way, which goes without saying. */
function ambiguousPathWords({ authorization }: WorkloadResource): string[] {
  return authorization?.ambiguousPaths === 'refuse'
    ? ['paths that apps may read in several ways are answered 400 (Mesh default)']
    : [];
}

/** `tsmesh.dev/exclude-outbound-ports: 5432`, sorted. */
export function annotationWords(annotations: Readonly<Record<string, string>>): string[] {
  return Object.entries(annotations)
    .filter(([name]) => name.startsWith('tsmesh.dev/'))
    .map(([name, value]) => printable(`${name}: ${value}`))
    .toSorted();
}
