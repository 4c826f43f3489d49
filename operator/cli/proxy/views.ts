// What a sidecar answers on its admin socket, as lines for people. Pure; the shapes are proxy/admin/server.ts's.

import { table } from '../style.ts';

interface EndpointsView {
  sets: {
    name: string;
    endpoints: {
      at: string;
      podName: string | null;
      zone: string | null;
      meshed: boolean;
      inFlight: number;
      answerMs: number | null;
      failedShare: number;
      ejected: boolean;
    }[];
  }[];
}

interface ConfigView {
  resources: {
    version: string;
    resource: {
      type: string;
      name: string;
      policies?: { kind: string; namespace?: string; name: string; generation?: number }[];
    };
  }[];
}

export function endpointsText(view: unknown): string[] {
  const { sets } = view as EndpointsView;
  const rows = sets.flatMap(({ name, endpoints }) =>
    endpoints.map((one) => [
      name,
      one.at,
      one.podName || '-',
      one.zone || '-',
      one.meshed ? 'mTLS' : 'plaintext',
      one.ejected ? 'EJECTED' : 'in',
      `${one.inFlight}`,
      one.answerMs === null ? '-' : `${one.answerMs} ms`,
      `${Math.round(one.failedShare * 1000) / 10}%`,
    ]),
  );
  const heads = [
    'DESTINATION',
    'ENDPOINT',
    'POD',
    'ZONE',
    'BY',
    'STATE',
    'OPEN',
    'ANSWERS',
    'FAIL',
  ];
  return rows.length === 0 ? ['no endpoints held'] : table([heads, ...rows]);
}

interface ListView<T> {
  count: number;
  listed: (T & { thread: number })[];
}

interface ConnectionsView {
  inbound: ListView<Accepted>;
  outbound: ListView<Accepted>;
  pool: ListView<{ to: string; peer: string; opened: number; usable: boolean }>;
}

interface Accepted {
  from: string;
  to: string;
  carries: string;
  peer: string;
  requests: number;
  ageMs: number;
}

export function connectionsText(view: unknown): string[] {
  const { inbound, outbound, pool } = view as ConnectionsView;
  const accepted = (direction: string, { listed }: ListView<Accepted>): string[][] =>
    listed.map(({ from, to, carries, peer, requests, ageMs }) => [
      direction,
      from,
      to,
      carries || '-',
      peer || '-',
      `${requests}`,
      `${Math.round(ageMs / 1000)} s`,
    ]);
  const kept = pool.listed.map(({ to, peer, opened, usable }) => [
    'kept',
    '-',
    to,
    usable ? 'HTTP' : 'HTTP, full',
    peer || '-',
    `${opened} so far`,
    '-',
  ]);
  const rows = [...accepted('inbound', inbound), ...accepted('outbound', outbound), ...kept];
  const left = inbound.count + outbound.count + pool.count - rows.length;
  const heads = ['KIND', 'FROM', 'TO', 'CARRIES', 'PEER', 'REQUESTS', 'AGE'];
  return [
    ...(rows.length === 0 ? ['no connections open'] : table([heads, ...rows])),
    ...(left === 0 ? [] : [`and ${left} more`]),
  ];
}

/** Each piece with the objects that shaped it, and the generation of each that is in force. */
export function configText(view: unknown): string[] {
  const rows = (view as ConfigView).resources.map(({ version, resource }) => [
    resource.type,
    resource.name,
    version,
    (resource.policies ?? [])
      .map(({ kind, namespace = '', name, generation }) => {
        const named = namespace === '' ? name : `${namespace}/${name}`;
        return `${kind} ${named}${generation === undefined ? '' : `@${generation}`}`;
      })
      .join(', ') || '-',
  ]);
  const heads = ['KIND', 'NAME', 'VERSION', 'SHAPED BY'];
  return rows.length === 0 ? ['no configuration held yet'] : table([heads, ...rows]);
}

/** `name  value`, one level deep; what is deeper as JSON. */
export function fieldsText(view: unknown): string[] {
  const rows = Object.entries(view as Record<string, unknown>).map(([name, value]) => [
    name,
    typeof value === 'string' ? value.trimEnd() : JSON.stringify(value),
  ]);
  return table(rows);
}
