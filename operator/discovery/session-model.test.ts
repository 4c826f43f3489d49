// A session against a sidecar, with messages that take their time in both directions: whatever the order
// of changes, subscriptions, refusals and reconnections, nothing is lost, nothing breaks on the way, and
// what the operator believes is true.

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { DownMessage, Push, ResourceError } from '../../proxy/api/discovery.ts';
import { resourceKey } from '../../proxy/api/resources.ts';
import type { DestinationResource, Resource, ResourceKey } from '../../proxy/api/resources.ts';
import { createModel } from '../model/model.ts';
import {
  ManualClock,
  fill,
  mesh,
  pod,
  service,
  slice,
  trafficPolicy,
} from '../model/test-objects.ts';
import { indexProgrammed } from '../telemetry/programmed.ts';
import { shapedBy } from '../translate/translated.ts';
import { createTranslations } from '../translate/translations.ts';
import { Session } from './session.ts';
import type { StreamState } from './stream-state.ts';

const destinations = ['10.96.0.1:80', '10.96.0.2:80', '192.0.2.1:80'];
const services = ['a', 'b', 'c'];

type Up =
  | { type: 'subscribe' | 'unsubscribe'; name: string }
  | { type: 'ack'; nonce: string; errors: ResourceError[] };

/** As a sidecar behaves: forgets first and says so then; puts in force what it does not refuse. */
class Sidecar {
  readonly inForce = new Map<ResourceKey, { version: string; resource: Resource }>();
  readonly wanted = new Set<string>();
  readonly up: Up[] = [];
  readonly down: Push[] = [];
  refuses: ResourceKey | null = null;

  subscribe(name: string): void {
    if (this.wanted.has(name)) return;
    this.wanted.add(name);
    this.up.push({ type: 'subscribe', name });
  }

  forget(name: string): void {
    if (!this.wanted.delete(name)) return;
    this.inForce.delete(`Destination/${name}`);
    this.up.push({ type: 'unsubscribe', name });
  }

  receive(push: Push): void {
    for (const key of push.removed) this.inForce.delete(key);
    const errors: ResourceError[] = [];
    for (const one of push.resources) {
      const key = resourceKey(one.resource);
      if (key === this.refuses) errors.push({ key, path: '/x', message: 'no' });
      else this.inForce.set(key, one);
    }
    this.up.push({ type: 'ack', nonce: push.nonce, errors });
  }

  referred(): Set<ResourceKey> {
    return new Set(
      [...this.inForce.values()].flatMap(({ resource }) =>
        resource.type === 'Destination' ? endpointsOf(resource) : [],
      ),
    );
  }
}

function endpointsOf(resource: DestinationResource): ResourceKey[] {
  const backends = [...resource.routes.flatMap((route) => route.backends), ...resource.tcp];
  return backends.map(({ endpoints }): ResourceKey => `Endpoints/${endpoints}`);
}

class World {
  readonly model = createModel({ clock: new ManualClock() });
  readonly translations = createTranslations();
  sidecar = new Sidecar();
  session = new Session({ key: 'shop/web', namespace: 'shop' }, {});
  generation = 1;
  policy = this.#policy('a', 'a');

  constructor() {
    this.model.onView((view, change) => {
      this.translations.advance(view, change);
      this.push();
    });
    fill(this.model, {
      Mesh: [mesh({})],
      Pod: [pod('shop/web', { ip: '10.0.0.1' })],
      Service: services.map((name, i) =>
        service(`shop/${name}`, `10.96.0.${i + 1}`, [{ name: 'http', port: 80 }]),
      ),
      EndpointSlice: services.map((name, i) => this.#slice(name, i)),
    });
    this.model.flush();
  }

  #slice(name: string, i: number) {
    return slice(`shop/${name}`, [{ address: `10.0.1.${i}` }], [{ name: 'http', port: 80 }]);
  }

  #policy(target: string, backend: string) {
    const spec = { service: { name: target }, routes: [{ backends: [{ service: backend }] }] };
    return trafficPolicy('shop/p', spec, { generation: (this.generation += 1) });
  }

  setPolicy(target: string, backend: string): void {
    this.policy = this.#policy(target, backend);
    this.model.upsert('TrafficPolicy', this.policy);
    this.model.flush();
  }

  setEndpoint(name: string, i: number): void {
    this.model.upsert('EndpointSlice', this.#slice(name, i));
    this.model.flush();
  }

  push(): void {
    const planned = this.session.nextPush(this.translations);
    if (planned === null) return;
    this.sidecar.down.push((JSON.parse(planned.text) as DownMessage).push!);
  }

  deliverUp(): boolean {
    const message = this.sidecar.up.shift();
    if (message === undefined) return false;
    if (message.type === 'ack') this.session.ack(message.nonce, message.errors);
    else if (message.type === 'subscribe') this.session.subscriptions.add(message.name);
    else this.session.unsubscribe([message.name]);
    this.push();
    return true;
  }

  deliverDown(): boolean {
    const push = this.sidecar.down.shift();
    if (push === undefined) return false;
    this.sidecar.receive(push);
    return true;
  }

  /** Messages on their way are lost; what the sidecar holds stays. */
  reconnect(): void {
    const held = Object.fromEntries(
      [...this.sidecar.inForce].map(([key, { version }]) => [key, version]),
    ) as Record<ResourceKey, string>;
    this.sidecar.up.length = 0;
    this.sidecar.down.length = 0;
    this.session = new Session({ key: 'shop/web', namespace: 'shop' }, held);
    for (const name of this.sidecar.wanted) this.session.subscriptions.add(name);
    this.push();
  }

  settle(): void {
    while (this.deliverUp() || this.deliverDown());
  }

  programmed() {
    const state: StreamState = {
      pod: { namespace: 'shop', name: 'web', uid: 'uid-pod-shop-web' },
      replica: 'operator-1',
      connectedAtMs: 0,
      proxyVersion: '1',
      draining: false,
      subscriptions: [...this.session.subscriptions],
      resources: this.session.resources(),
      statistics: null,
      statisticsAtMs: 0,
    };
    const { translations } = this;
    const index = indexProgrammed({ translations, streams: [state], observed: new Map() });
    return index.status(shapedBy('TrafficPolicy', this.policy));
  }

  /** Traffic never meets a Destination whose Endpoints are not there. */
  checkWhole(): void {
    for (const key of this.sidecar.referred()) {
      expect([...this.sidecar.inForce.keys()]).toContain(key);
    }
  }

  /** What is said to be programmed is in force, as it is now, at every Destination the sidecar has. */
  checkProgrammed(): void {
    if (this.programmed().status !== 'True') return;
    for (const [key, { resource }] of this.sidecar.inForce) {
      if (resource.type !== 'Destination') continue;
      const name = key.slice('Destination/'.length);
      const desired = this.translations.destination('shop', name)!.resource as DestinationResource;
      expect(resource.policies).toEqual(desired.policies);
    }
  }

  checkSettled(): void {
    const expected = new Map<string, string>();
    const add = (one: { key: string; version: string }) => expected.set(one.key, one.version);
    add(this.translations.workload('shop/web')!);
    for (const name of this.sidecar.wanted) {
      const destination = this.translations.destination('shop', name)!;
      add(destination);
      for (const endpoints of destination.endpoints) add(this.translations.endpoints(endpoints));
    }
    const inForce = [...this.sidecar.inForce].map(([key, { version }]) => [key, version] as const);
    expect(new Map(inForce)).toEqual(expected);
    const believed = this.session.resources().map(({ key, acked }) => [key, acked] as const);
    expect(new Map(believed)).toEqual(expected);
    expect(this.programmed().status).toBe('True');
  }
}

type Action = (world: World) => void;
const action = (name: string, run: Action) => ({ run, toString: () => name });
const pick = <T>(list: readonly T[]) => fc.constantFrom(...list);

const actions = fc.oneof(
  pick(destinations).map((name) => action(`subscribe ${name}`, (w) => w.sidecar.subscribe(name))),
  pick(destinations).map((name) => action(`forget ${name}`, (w) => w.sidecar.forget(name))),
  fc
    .tuple(pick(services), pick(services))
    .map(([a, b]) => action(`policy ${a} to ${b}`, (w) => w.setPolicy(a, b))),
  fc
    .tuple(pick(services), fc.nat(3))
    .map(([name, i]) => action(`endpoint ${name} ${i}`, (w) => w.setEndpoint(name, i))),
  { weight: 4, arbitrary: fc.constant(action('up', (w) => void w.deliverUp())) },
  { weight: 4, arbitrary: fc.constant(action('down', (w) => void w.deliverDown())) },
  fc.constant(action('reconnect', (w) => w.reconnect())),
  pick([null, ...destinations.slice(0, 2).map((name): ResourceKey => `Destination/${name}`)]).map(
    (key) => action(`refuse ${key}`, (w) => (w.sidecar.refuses = key)),
  ),
);

describe('a session with a sidecar', () => {
  it('never leaves a Destination without its Endpoints, never believes wrongly, and settles', () => {
    fc.assert(
      fc.property(fc.array(actions, { maxLength: 60 }), (list) => {
        const world = new World();
        for (const name of destinations.slice(0, 2)) world.sidecar.subscribe(name);
        world.settle();
        for (const { run } of list) {
          run(world);
          world.checkWhole();
          world.checkProgrammed();
        }
        world.sidecar.refuses = null;
        // A refused version is not sent again until it changes.
        world.setPolicy('a', 'b');
        for (const name of services) world.setEndpoint(name, 9);
        world.model.upsert('Mesh', mesh({}, 1000));
        world.model.flush();
        world.settle();
        world.checkWhole();
        world.checkSettled();
      }),
      { numRuns: 500 },
    );
  });

  it('is not believed to obey a policy while what it forgot is still on its way to it', () => {
    const world = new World();
    const [name = ''] = destinations;
    world.sidecar.subscribe(name);
    world.settle();
    world.sidecar.forget(name);
    world.sidecar.subscribe(name);
    world.reconnect();
    world.setPolicy('a', 'a');
    world.sidecar.forget(name);
    world.deliverDown();
    world.deliverUp();
    expect(world.sidecar.inForce.has(`Destination/${name}`)).toBe(true);
    expect(world.programmed().status).toBe('Unknown');
    world.settle();
    expect(world.sidecar.inForce.has(`Destination/${name}`)).toBe(false);
    expect(world.programmed().status).toBe('True');
  });
});
