// From what is known of a cluster to what is right and wrong in it, each with what to do about it. Pure.

import { X509Certificate } from 'node:crypto';
import type { SidecarRow } from '../../telemetry/sidecars.ts';
import { spanText } from '../span.ts';
import { capture } from './capture.ts';
import { clocks } from './clocks.ts';
import type { Fact, Facts, WebhooksObject } from './facts.ts';
import { names, ok, unread, type Finding } from './finding.ts';
import { namespaces } from './namespaces.ts';
import { judgeOperatorRights } from './operator-rights.ts';
import { policies } from './policies.ts';

const oldestMinor = 30;
const soonMs = 3_600_000;

const wantedKinds = [
  'meshes',
  'peerauthentications',
  'trafficpolicies',
  'authorizationpolicies',
  'meshstatuses',
];

/** `installed` false: only what an installation needs was asked of the cluster. */
export function findingsOf(facts: Facts, ownVersion: string): Finding[] {
  const before = [...kubernetes(facts), ...clocks(facts)];
  if (!isInstalled(facts)) return [...before, ...notInstalled(facts)];
  return [
    ...before,
    ...resources(facts),
    ...operator(facts, ownVersion),
    ...rightsOfOperator(facts),
    ...facts.webhooks.flatMap((one, i) => webhook(one, i === 0 ? 'mutating' : 'validating')),
    ...roots(facts),
    ...mesh(facts),
    ...namespaces(facts),
    ...policies(facts),
    ...sidecars(facts),
    ...capture(facts),
  ];
}

export function isInstalled({ kinds, operator: deployment }: Facts): boolean {
  return !('missing' in kinds && 'missing' in deployment);
}

function kubernetes({ server, nodes }: Facts): Finding[] {
  const check = 'kubernetes';
  if (!('value' in server)) {
    const why = 'unread' in server ? server.unread : 'no /version';
    return [{ check, level: 'error', text: `no version: ${why}`, remedy: 'see the API server' }];
  }
  const { version, major, minor } = server.value;
  const found: Finding[] = [];
  if (major > 1 || minor >= oldestMinor) found.push(ok(check, `version ${version}`));
  else {
    const remedy = `upgrade to 1.${oldestMinor} or newer: tsmesh needs native sidecars and CEL in admission`;
    found.push({ check, level: 'error', text: `version ${version} is too old`, remedy });
  }
  if (!('value' in nodes)) return found;
  const usable = nodes.value.filter(({ status }) => {
    const { architecture = '', operatingSystem = '' } = status?.nodeInfo ?? {};
    return operatingSystem === 'linux' && ['amd64', 'arm64'].includes(architecture);
  });
  if (usable.length > 0) return found;
  const remedy = 'sidecars run on Linux, amd64 or arm64';
  return [...found, { check, level: 'error', text: 'no node can run a sidecar', remedy }];
}

function notInstalled({ rights }: Facts): Finding[] {
  const remedy = 'kubectl apply -k config/default';
  const found: Finding[] = [
    { check: 'installation', level: 'warning', text: 'tsmesh is not installed', remedy },
  ];
  if (!('value' in rights)) return found;
  const missing = rights.value.filter(({ allowed }) => !allowed).map(({ right }) => right);
  if (missing.length === 0) return [...found, ok('rights', 'this user may install it')];
  return [
    ...found,
    {
      check: 'rights',
      level: 'error',
      text: `this user may not: ${missing.join(', ')}`,
      remedy: 'install as a cluster administrator',
    },
  ];
}

function resources({ kinds }: Facts): Finding[] {
  const check = 'resources';
  const known = 'value' in kinds ? kinds.value : [];
  if ('unread' in kinds) return [unread(check, 'the kinds of the mesh', kinds.unread)];
  const missing = wantedKinds.filter((kind) => !known.includes(kind));
  if (missing.length === 0) return [ok(check, 'all kinds are there')];
  const text = `the API server does not know: ${missing.join(', ')}`;
  return [{ check, level: 'error', text, remedy: 'kubectl apply -k crds' }];
}

function operator(
  { operator: deployment, sidecars: answer }: Facts,
  ownVersion: string,
): Finding[] {
  const check = 'operator';
  if ('unread' in deployment) return [unread(check, 'its Deployment', deployment.unread)];
  if ('missing' in deployment) {
    const text = 'there is no Deployment tsmesh-system/tsmesh-operator';
    return [{ check, level: 'error', text, remedy: 'kubectl apply -k config/default' }];
  }
  const { spec, status } = deployment.value;
  const wanted = spec?.replicas ?? 1;
  const available = status?.availableReplicas ?? 0;
  const found: Finding[] = [];
  if (available === wanted && wanted > 0) found.push(ok(check, `${available} of ${wanted} ready`));
  else {
    const remedy =
      wanted === 0
        ? 'kubectl -n tsmesh-system scale deployment/tsmesh-operator --replicas=1'
        : 'kubectl -n tsmesh-system describe pods, and logs deployment/tsmesh-operator';
    const level = available === 0 ? 'error' : 'warning';
    const meanwhile =
      available === 0 ? ': meshed pods run on as they are, but no new one can start' : '';
    found.push({ check, level, text: `${available} of ${wanted} ready${meanwhile}`, remedy });
  }
  if ('value' in answer && answer.value.operator.version !== ownVersion) {
    const text = `version ${answer.value.operator.version}, and this tool is of version ${ownVersion}`;
    found.push({ check, level: 'warning', text, remedy: 'use the tool of the same version' });
  }
  return found;
}

function webhook(fact: Fact<WebhooksObject>, which: string): Finding[] {
  const check = 'webhooks';
  const name = `${which} webhooks`;
  if ('unread' in fact) return [unread(check, name, fact.unread)];
  if ('missing' in fact) {
    const remedy = 'kubectl apply -k config/default';
    return [{ check, level: 'error', text: `there are no ${name}`, remedy }];
  }
  const without = (fact.value.webhooks ?? []).filter(({ clientConfig }) => !clientConfig.caBundle);
  if (without.length === 0) return [ok(check, `${name} are trusted`)];
  const text = `${name} without caBundle: the API server cannot call the operator`;
  const remedy = 'the operator writes it within seconds of its start: see its log';
  return [{ check, level: 'error', text, remedy }];
}

function rightsOfOperator({ operatorRights: fact }: Facts): Finding[] {
  const what = 'whether the operator has its rights';
  if (!('value' in fact)) return [unread('rights', what, 'unread' in fact ? fact.unread : '')];
  return [judgeOperatorRights(fact.value)];
}

const soonEndingRootMs = 30 * 86_400_000;
const pem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The roots that the webhooks are trusted by are those of the mesh: the last of them to end is what counts. */
function roots({ webhooks, localMs }: Facts): Finding[] {
  const check = 'certificates';
  const bundles = webhooks.flatMap((fact) =>
    'value' in fact
      ? (fact.value.webhooks ?? []).map(({ clientConfig }) => clientConfig.caBundle ?? '')
      : [],
  );
  const texts = new Set(bundles.map((one) => Buffer.from(one, 'base64').toString()));
  const ends = [...texts].flatMap((text) =>
    (text.match(pem) ?? []).map((one) => new X509Certificate(one).validToDate.getTime()),
  );
  if (ends.length === 0) return [];
  const leftMs = Math.max(...ends) - localMs;
  if (leftMs > soonEndingRootMs) return [ok(check, `the root is valid for ${spanText(leftMs)}`)];
  const text = leftMs < 0 ? 'the root has ended' : `the root ends in ${spanText(leftMs)}`;
  const remedy = 'rotate it: docs/identity.md, and see kubectl get mesh default -o yaml';
  return [{ check, level: leftMs < 7 * 86_400_000 ? 'error' : 'warning', text, remedy }];
}

function mesh({ mesh: fact }: Facts): Finding[] {
  const check = 'mesh';
  if ('unread' in fact) return [unread(check, 'Mesh default', fact.unread)];
  if ('missing' in fact) {
    const remedy = 'the operator makes it when it starts: see its log';
    return [{ check, level: 'error', text: 'there is no Mesh default', remedy }];
  }
  const conditions = fact.value.status?.conditions ?? [];
  const wrong = conditions.filter(({ type, status }) =>
    type === 'CertificatesExpiring'
      ? status === 'True'
      : healthyTypes.has(type) && status !== 'True',
  );
  if (wrong.length === 0) return [ok(check, 'Mesh default is in force')];
  return wrong.map(({ type, reason, message }) => ({
    check,
    level: 'error' as const,
    text: `${type}, ${reason}: ${message}`,
    remedy: 'kubectl get mesh default -o yaml',
  }));
}

/** Conditions of the Mesh that are True where all is well. */
const healthyTypes: ReadonlySet<string> = new Set(['Accepted', 'CAReady', 'Programmed']);

function sidecars({ sidecars: fact }: Facts): Finding[] {
  const check = 'sidecars';
  if (!('value' in fact)) {
    const why = 'unread' in fact ? fact.unread : 'no answer';
    const remedy =
      'the operator knows: it must run and lead, and you may need the ClusterRole tsmesh-console';
    return [{ ...unread(check, 'what the operator knows', why), remedy }];
  }
  const { sidecars: rows, atMs, operator: asked } = fact.value;
  const of = (state: SidecarRow['state']) => rows.filter((row) => row.state === state);
  const found: Finding[] = [];
  const add = (level: Finding['level'], some: SidecarRow[], [text, remedy]: [string, string]) => {
    if (some.length > 0) found.push({ check, level, text: `${text}: ${podNames(some)}`, remedy });
  };
  add('error', of('rejected'), ['refused what they were sent', 'tsmesh status --problems']);
  add('error', of('disconnected'), [
    'without the operator',
    'kubectl logs POD -c tsmesh-proxy; can the pod reach tsmesh-operator.tsmesh-system:15012?',
  ]);
  add('warning', of('none'), [
    'pods of meshed namespaces without a sidecar',
    'restart what they belong to: kubectl rollout restart',
  ]);
  const ending = rows.filter(
    ({ certificateEndMs }) => certificateEndMs !== null && certificateEndMs - atMs < soonMs,
  );
  add('error', ending, ['certificates that end within the hour', 'see the operator’s log']);
  const others = rows.filter(({ version }) => version !== '' && version !== asked.version);
  add('warning', others, [
    `of another version than the operator (${asked.version})`,
    'restart what they belong to',
  ]);
  const connected = rows.filter(({ replica }) => replica !== '').length;
  return found.length > 0 ? found : [ok(check, `${connected} connected, all is well`)];
}

function podNames(rows: readonly SidecarRow[]): string {
  return names(rows.map(({ namespace, pod }) => `${namespace}/${pod}`));
}
