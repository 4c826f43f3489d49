// Changes that callers on a stage can see the effect of: of each kind one that goes back and forth between two states.
import type { Kind } from '../../operator/resources/api-client.ts';
import { waitFor } from '../../hack/lib/wait.ts';
import type { Recording, Stage } from './stage.ts';
import { unixMs } from './stage.ts';

export interface ChangeKind {
  title: string;
  kind: Kind;
  name: string;
  outside: boolean;
  /** Service that is called. */
  service: string;
  create(stage: Stage): Promise<void>;
  /** The state before, then those that are changed to in turn. */
  patch(stage: Stage, on: boolean): Promise<object>;
  /** What callers see in each state. */
  seen: { on: RegExp; off: RegExp };
}

export interface Observed {
  /** From the request that asks for the change to the asking of the last caller's first request that obeyed it. */
  effectMs: number;
  /** From there until Programmed was seen to be true; null where there is no such condition. */
  lateMs: number | null;
  /** Requests that began after that and were decided as before. */
  early: number;
}

const routes = (on: boolean) => [{ redirect: { host: 'elsewhere', status: on ? 307 : 308 } }];
const weights = (on: boolean) => [
  {
    backends: [
      { subset: 'v1', weight: on ? 0 : 1 },
      { subset: 'v2', weight: on ? 1 : 0 },
    ],
  },
];
const subsets = ['v1', 'v2'].map((version) => ({ name: version, labels: { version } }));
const service = { name: 'server' };
const withSpec = (spec: object) => (stage: Stage, kind: Kind, name: string) =>
  stage.create(kind, { metadata: { name }, spec } as { metadata: { name: string } });

export const changeKinds: readonly ChangeKind[] = [
  {
    title: 'TrafficPolicy: a route',
    kind: 'TrafficPolicy',
    name: 'route',
    outside: false,
    service: 'server',
    create: (stage) =>
      withSpec({ service, routes: routes(false) })(stage, 'TrafficPolicy', 'route'),
    patch: (_stage, on) => Promise.resolve({ spec: { routes: routes(on) } }),
    seen: { on: /^307/, off: /^308/ },
  },
  {
    title: 'TrafficPolicy: weights of subsets',
    kind: 'TrafficPolicy',
    name: 'weights',
    outside: false,
    service: 'server',
    create: (stage) =>
      withSpec({ service, subsets, routes: weights(false) })(stage, 'TrafficPolicy', 'weights'),
    patch: (_stage, on) => Promise.resolve({ spec: { routes: weights(on) } }),
    seen: { on: /^200 v2/, off: /^200 v1/ },
  },
  {
    title: 'PeerAuthentication: mode',
    kind: 'PeerAuthentication',
    name: 'mode',
    outside: true,
    service: 'server',
    create: (stage) =>
      withSpec({ mtls: { mode: 'PERMISSIVE' } })(stage, 'PeerAuthentication', 'mode'),
    patch: (_stage, on) =>
      Promise.resolve({ spec: { mtls: { mode: on ? 'STRICT' : 'PERMISSIVE' } } }),
    seen: { on: /^403/, off: /^200/ },
  },
  {
    title: 'AuthorizationPolicy: a rule',
    kind: 'AuthorizationPolicy',
    name: 'rule',
    outside: false,
    service: 'server',
    create: (stage) =>
      withSpec({ action: 'DENY', rules: [denied(false)] })(stage, 'AuthorizationPolicy', 'rule'),
    patch: (_stage, on) => Promise.resolve({ spec: { rules: [denied(on)] } }),
    seen: { on: /^403/, off: /^200/ },
  },
  {
    title: 'Mesh: default mTLS mode',
    kind: 'Mesh',
    name: 'default',
    outside: true,
    service: 'server',
    create: () => Promise.resolve(),
    patch: (_stage, on) =>
      Promise.resolve({ spec: { mtls: { mode: on ? 'STRICT' : 'PERMISSIVE' } } }),
    seen: { on: /^403/, off: /^200/ },
  },
  {
    title: 'EndpointSlice: another pod',
    kind: 'EndpointSlice',
    name: 'sliced',
    outside: false,
    service: 'sliced',
    async create(stage) {
      const ports = [{ name: 'web', port: 80, targetPort: 8080, protocol: 'TCP' }];
      await withSpec({ ports })(stage, 'Service', 'sliced');
      const labels = { 'kubernetes.io/service-name': 'sliced' };
      await stage.create('EndpointSlice', {
        metadata: { name: 'sliced', labels },
        addressType: 'IPv4',
        ports: [{ name: 'web', port: 8080, protocol: 'TCP' }],
        endpoints: [{ addresses: [await stage.podIp('v1')], conditions: { ready: true } }],
      } as { metadata: { name: string } });
    },
    async patch(stage, on) {
      const addresses = [await stage.podIp(on ? 'v2' : 'v1')];
      return { endpoints: [{ addresses, conditions: { ready: true } }] };
    },
    seen: { on: /^200 v2/, off: /^200 v1/ },
  },
];

function denied(on: boolean): object {
  return { name: 'some', to: [{ methods: [on ? 'GET' : 'PUT'] }] };
}

/** Callers of what a kind of changes decides. */
export async function recordFor(stage: Stage, one: ChangeKind, rate: number): Promise<Recording[]> {
  const url = `http://${one.service}.${stage.meshed}/healthz`;
  const callers = one.outside
    ? [{ namespace: stage.outside, app: 'caller' }]
    : ['caller-a', 'caller-b'].map((app) => ({ namespace: stage.meshed, app }));
  return await Promise.all(callers.map((caller) => stage.record(caller, url, rate)));
}

/** Changes to and fro `times` times, and looks at what callers saw of each. */
export async function changeAndObserve(
  stage: Stage,
  one: ChangeKind,
  recordings: readonly Recording[],
  times: number,
): Promise<Observed[]> {
  const observed: Observed[] = [];
  for (let turn = 0; turn < times; turn += 1) {
    const on = turn % 2 === 0;
    const patch = await one.patch(stage, on);
    const sentAtMs = unixMs();
    const generation = await stage.change(one.kind, one.name, patch);
    const expected = on ? one.seen.on : one.seen.off;
    const effects = await Promise.all(
      recordings.map((recording) => firstObeyed(recording, sentAtMs, expected)),
    );
    const effectAtMs = Math.max(...effects);
    const hasStatus = one.kind !== 'EndpointSlice';
    const programmedAtMs = hasStatus
      ? await stage.programmed(one.kind, one.name, generation)
      : null;
    await someMore(recordings, Math.max(programmedAtMs ?? 0, effectAtMs));
    const early = recordings.flatMap(({ answers }) =>
      answers.filter(
        ({ askedAtMs, what }) =>
          programmedAtMs !== null && askedAtMs > programmedAtMs && !expected.test(what),
      ),
    ).length;
    for (const { answers } of recordings) answers.length = 0;
    const lateMs = programmedAtMs === null ? null : programmedAtMs - effectAtMs;
    observed.push({ effectMs: effectAtMs - sentAtMs, lateMs, early });
  }
  return observed;
}

async function firstObeyed(
  { answers }: Recording,
  sinceMs: number,
  expected: RegExp,
): Promise<number> {
  return await waitFor(`an answer ${String(expected)}`, 30_000, () => {
    return answers.find(({ askedAtMs, what }) => askedAtMs > sinceMs && expected.test(what))
      ?.askedAtMs;
  });
}

/** Until each caller has asked some more times after that: what is decided as before would be among these. */
async function someMore(recordings: readonly Recording[], afterMs: number): Promise<void> {
  const enough = 20;
  await waitFor('more answers', 30_000, () =>
    recordings.every(
      ({ answers }) => answers.filter(({ askedAtMs }) => askedAtMs > afterMs).length >= enough,
    ),
  );
}
