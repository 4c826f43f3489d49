// What is asked, as the user wrote it and as it was understood. Reads text only; names are resolved elsewhere.

import { isIP } from 'node:net';
import { parseSpiffeId } from '../../../proxy/api/spiffe.ts';
import { CliError } from '../errors.ts';

/** One call as a person writes it: options of a command line, or an entry of a file of expectations. */
export interface CallSpec {
  from?: string;
  to: string;
  method?: string;
  path?: string;
  host?: string;
  /** `name=value` or `name: value`. */
  headers?: readonly string[];
  identity?: string;
  ip?: string;
  /** Opaque TCP instead of a request. */
  tcp?: boolean;
}

/** A name of a pod or of what pods are made from; `kind` null: not said. */
export interface Named {
  kind: 'pod' | 'workload' | 'serviceaccount' | 'service' | null;
  /** Of a workload, as Kubernetes spells it: `Deployment`. */
  workloadKind: string | null;
  namespace: string;
  name: string;
}

export interface Call {
  /** Null: from outside the mesh, or by identity alone. */
  from: Named | null;
  to: Named;
  /** Number or name; null where it was left out. */
  port: string | null;
  /** Null: opaque TCP. */
  request: { method: string; path: string; host: string | null; fields: string[] } | null;
  identity: string | null;
  ip: string | null;
}

const kindWords: Readonly<Record<string, Pick<Named, 'kind' | 'workloadKind'>>> = {
  pod: { kind: 'pod', workloadKind: null },
  po: { kind: 'pod', workloadKind: null },
  sa: { kind: 'serviceaccount', workloadKind: null },
  serviceaccount: { kind: 'serviceaccount', workloadKind: null },
  svc: { kind: 'service', workloadKind: null },
  service: { kind: 'service', workloadKind: null },
  deployment: { kind: 'workload', workloadKind: 'Deployment' },
  deploy: { kind: 'workload', workloadKind: 'Deployment' },
  replicaset: { kind: 'workload', workloadKind: 'ReplicaSet' },
  rs: { kind: 'workload', workloadKind: 'ReplicaSet' },
  statefulset: { kind: 'workload', workloadKind: 'StatefulSet' },
  sts: { kind: 'workload', workloadKind: 'StatefulSet' },
  daemonset: { kind: 'workload', workloadKind: 'DaemonSet' },
  ds: { kind: 'workload', workloadKind: 'DaemonSet' },
  job: { kind: 'workload', workloadKind: 'Job' },
  cronjob: { kind: 'workload', workloadKind: 'CronJob' },
};

/** Throws a CliError of code Usage that names the option. */
export function readCall(spec: CallSpec, namespace: string): Call {
  const identity = spec.identity ?? null;
  const asked = identity !== null && !identity.includes('://') ? `spiffe://${identity}` : identity;
  if (asked !== null && parseSpiffeId(asked) === null) {
    const form = 'spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT';
    throw new CliError('Usage', `identity: ${identity} is not of the form ${form}`);
  }
  const ip = spec.ip ?? null;
  if (ip !== null && isIP(ip) === 0) throw new CliError('Usage', `ip: ${ip} is no IP address`);
  const from = spec.from === 'outside' ? null : (spec.from ?? null);
  if (spec.from === undefined && asked === null)
    throw new CliError('Usage', 'from: is missing; say who calls: a pod, a workload, or outside');
  if (spec.from === 'outside' && asked !== null)
    throw new CliError('Usage', 'identity: a caller from outside the mesh proves no identity');
  const { name, port } = splitPort(spec.to);
  return {
    from: from === null ? null : readName('from', from, namespace),
    to: readName('to', name, namespace),
    port,
    request: requestOf(spec),
    identity: asked,
    ip,
  };
}

function splitPort(text: string): { name: string; port: string | null } {
  const at = text.lastIndexOf(':');
  if (at < 0) return { name: text, port: null };
  const port = text.slice(at + 1);
  if (port === '' || (/^\d+$/.test(port) && (Number(port) < 1 || Number(port) > 65535)))
    throw new CliError('Usage', `to: ${text}: a port is a number from 1 to 65535 or a name`);
  return { name: text.slice(0, at), port };
}

/** `web`, `shop/web`, `deployment/web`, `shop/deployment/web`. */
export function readName(option: string, text: string, namespace: string): Named {
  const parts = text.split('/');
  const wrong =
    parts.length > 3 || parts.some((part) => !/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(part));
  const kindAt = parts.length === 3 ? 1 : 0;
  const kind = parts.length === 1 ? undefined : kindWords[parts[kindAt]!];
  if (wrong || (parts.length === 3 && kind === undefined)) {
    const forms = 'NAME, NAMESPACE/NAME, KIND/NAME or NAMESPACE/KIND/NAME';
    const kinds = 'pod, deployment, statefulset, daemonset, job, sa, service';
    throw new CliError('Usage', `${option}: ${text} is no name of the form ${forms} (${kinds})`);
  }
  const name = parts.at(-1)!;
  if (kind === undefined) {
    const where = parts.length === 2 ? parts[0]! : namespace;
    return { kind: null, workloadKind: null, namespace: where, name };
  }
  return { ...kind, namespace: parts.length === 3 ? parts[0]! : namespace, name };
}

function requestOf(spec: CallSpec): Call['request'] {
  const { method, path, host, headers = [] } = spec;
  if (spec.tcp === true) {
    if (method !== undefined || path !== undefined || headers.length > 0)
      throw new CliError('Usage', 'tcp: a TCP connection has no method, path or headers');
    return null;
  }
  if (method !== undefined && !/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(method))
    throw new CliError('Usage', `method: ${method} is no method of HTTP`);
  const target = path ?? '/';
  if (!/^[/*][\x21-\x7e\x80-\xff]*$/.test(target))
    throw new CliError('Usage', `path: ${target} must begin with / and have no spaces`);
  const fields = headers.flatMap(readHeader);
  return { method: method ?? 'GET', path: target, host: host ?? null, fields };
}

function readHeader(text: string): [string, string] {
  const match = /^([A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*[=:]\s*(.*)$/.exec(text);
  if (match === null) throw new CliError('Usage', `header: ${text} is not of the form NAME=VALUE`);
  return [match[1]!.toLowerCase(), match[2]!.trim()];
}
