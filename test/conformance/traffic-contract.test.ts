// What the CRD takes, the operator takes and a sidecar can use: for TrafficPolicies made from the CRD's own
// schema, with values at the edges of what it allows. A policy that passed every check and that a sidecar then
// refused would stop the configuration of its callers.

import { describe, expect, it } from '@jest/globals';
import { Ajv } from 'ajv';
import fc from 'fast-check';
import { celFaults, type CelSchema } from '../../operator/cli/cel/rules.ts';
import { crdSchemas } from '../../operator/cli/generated/crd-schemas.ts';
import { pod, service, slice, trafficPolicy, viewOf } from '../../operator/model/test-objects.ts';
import type { TrafficPolicySpec } from '../../operator/resources/tsmesh.ts';
import { translateDestination } from '../../operator/translate/destination.ts';
import { translateEndpoints } from '../../operator/translate/endpoints.ts';
import { trafficPolicyFaults } from '../../operator/translate/validity.ts';
import { translateWorkload } from '../../operator/translate/workload.ts';
import type { Resource } from '../../proxy/api/resources.ts';
import { createStore } from '../../proxy/state/store.ts';

interface Schema {
  type?: string;
  enum?: unknown[];
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxLength?: number;
  required?: string[];
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  items?: Schema;
  'x-kubernetes-validations'?: { message?: string }[];
}

/** Right values of texts that only rules in CEL describe, by name of the field. */
const texts: Record<string, readonly string[]> = {
  exact: ['/', '/a/b'],
  prefix: ['/', '/a'],
  regex: ['/a+', '.*'],
  full: ['/b'],
  path: ['/', '/a'],
  host: ['shop.example:8080'],
  subset: ['v1'],
  service: ['cart', 'other', 'gone'],
  method: ['Add'],
  methods: ['GET', 'M-SEARCH'],
  allowMethods: ['PUT'],
  allowOrigins: ['*', 'https://*.a.example', 'null'],
  contentType: ['application/json; charset=utf-8'],
  scheme: ['http'],
};

function textsOf(name: string, schema: Schema): readonly string[] {
  const said = (schema['x-kubernetes-validations'] ?? []).map(({ message = '' }) => message);
  const range = /must be a duration from (\S+) to (\S+),/.exec(said.join());
  if (range !== null) return [range[1]!, range[2]!];
  const known = texts[name] ?? ['a'];
  const long = 'x'.repeat(Math.min(schema.maxLength ?? 1, 2000));
  return said.length === 0 && texts[name] === undefined ? [...known, long] : known;
}

function valueOf(name: string, schema: Schema): fc.Arbitrary<unknown> {
  const { type, items, properties, required = [] } = schema;
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (type === 'integer' || type === 'number') {
    return fc.constantFrom(schema.minimum ?? 1, schema.maximum ?? 1, (schema.minimum ?? 0) + 1);
  }
  if (type === 'boolean') return fc.boolean();
  if (type === 'string') return fc.constantFrom(...textsOf(name, schema));
  if (items !== undefined) {
    return fc.array(valueOf(name, items), { minLength: schema.minItems ?? 0, maxLength: 2 });
  }
  if (properties === undefined) return fc.constantFrom({ app: 'cart' }, { 'a.b/c': '' });
  const choice = choiceOf(schema);
  const fields = Object.entries(properties).map(([key, inner]) => {
    const value = key === 'service' && inner.type === 'object' ? target : valueOf(key, inner);
    const always = required.includes(key) || choice.includes(key);
    return [key, always ? value : fc.option(value, half)] as const;
  });
  return fc
    .tuple(fc.record(Object.fromEntries(fields)), fc.nat())
    .map(([made, one]) => withoutNothing(onlyOne(made, choice, one)));
}

/** Fields of which exactly one may be given. */
function choiceOf(of: Schema): string[] {
  const rules = (of['x-kubernetes-validations'] ?? []).map(({ message = '' }) => message);
  const said = rules.find((message) => message.startsWith('must have exactly one of '));
  return said === undefined ? [] : said.slice('must have exactly one of '.length).split(', ');
}

function onlyOne(made: Record<string, unknown>, choice: readonly string[], one: number) {
  const kept = choice[one % Math.max(choice.length, 1)];
  const entries = Object.entries(made);
  return Object.fromEntries(entries.filter(([key]) => key === kept || !choice.includes(key)));
}

const half = { nil: undefined, freq: 2 } as const;
const target = fc.constantFrom({ name: 'cart' }, { name: 'cart', port: 80 });

function withoutNothing(value: Record<string, unknown>): object {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined));
}

const schema = crdSchemas['TrafficPolicy'] as Schema;
const specs = valueOf('spec', schema.properties!['spec']!) as fc.Arbitrary<TrafficPolicySpec>;
/** One part at a time, as of all parts together nearly always one breaks some rule. */
const oneOfIt = fc.tuple(specs, fc.nat(), fc.nat()).map(([spec, part, of]): TrafficPolicySpec => {
  const { service: to, routes = [], ...rest } = spec;
  const parts = Object.entries(rest);
  const subsets = [{ name: 'v1', labels: { version: 'v1' } }];
  const some = parts.length === 0 ? {} : Object.fromEntries([parts[part % parts.length]!]);
  const route = Object.entries(routes[0] ?? {});
  const few = route.filter(
    (_, i) => route.length < 2 || i === of % route.length || i === part % route.length,
  );
  return { ...some, service: to, subsets, routes: [Object.fromEntries(few)] };
});

/** Rules that look at several objects, or at what a rule in CEL cannot compare. */
const beyondTheCrd = /rateLimits\[\d+\]\.port: the policy holds|: is where the request goes/;

/** `routes.matches.grpc`: of every field that a schema has, and that an object has. */
function fieldsOf({ properties = {}, items }: Schema, at = ''): string[] {
  if (items !== undefined) return fieldsOf(items, at);
  return Object.entries(properties).flatMap(([name, inner]) => [
    `${at}${name}`,
    ...fieldsOf(inner, `${at}${name}.`),
  ]);
}

function pathsIn(value: unknown, at = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((one: unknown) => pathsIn(one, at));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => [
    `${at}${name}`,
    ...pathsIn(inner, `${at}${name}.`),
  ]);
}

/** What chance hardly ever puts together: a prefix that is matched and replaced. */
const prefixes = (['rewrite', 'redirect'] as const).map((change): TrafficPolicySpec => {
  const matches = [{ path: { prefix: '/a' } }];
  return { service: { name: 'cart' }, routes: [{ matches, [change]: { path: { prefix: '/b' } } }] };
});

const validate = new Ajv({ strict: false }).compile(schema);

function takenByTheCrd(spec: TrafficPolicySpec): boolean {
  const object = { apiVersion: 'tsmesh.dev/v1alpha1', kind: 'TrafficPolicy', metadata: {}, spec };
  return validate(object) && celFaults(schema as CelSchema, object).length === 0;
}

/** What a sidecar of the Service, and one that calls it, would be sent. */
function sentOf(spec: TrafficPolicySpec): Resource[] {
  const ports = [80, 81].map((port) => ({ name: `http-${port}`, port, targetPort: port + 8000 }));
  const view = viewOf({
    Pod: [pod('shop/cart-1', { ip: '10.0.0.1', labels: { app: 'cart' } })],
    Service: ['cart', 'other'].map((name, i) => service(`shop/${name}`, `10.96.0.${i + 1}`, ports)),
    EndpointSlice: [
      slice(
        'shop/cart',
        [{ address: '10.0.0.1', pod: 'cart-1' }],
        [{ name: 'http-80', port: 8080 }],
      ),
    ],
    TrafficPolicy: [trafficPolicy('shop/p', spec)],
  });
  const destination = translateDestination(view, 'shop', '10.96.0.1', 80).resource;
  const names = new Set(
    destination.routes.flatMap(({ backends, mirrors = [] }) =>
      [...backends, ...mirrors].map(({ endpoints }) => endpoints),
    ),
  );
  const endpoints = [...names].map((name) => translateEndpoints(view, name).resource);
  return [destination, ...endpoints, translateWorkload(view, 'shop/cart-1')!.resource];
}

describe('a TrafficPolicy that the CRD takes', () => {
  it('is taken by the operator and by sidecars', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(oneOfIt, (spec) => {
        if (!takenByTheCrd(spec)) return;
        for (const path of pathsIn(spec)) seen.add(path);
        const faults = trafficPolicyFaults(spec).map(({ path, message }) => `${path}: ${message}`);
        expect(faults.filter((fault) => !beyondTheCrd.test(fault))).toEqual([]);
        if (faults.length > 0) return;
        const resources = sentOf(spec).map((resource) => ({ version: '1', resource }));
        expect(createStore().apply(resources, [])).toEqual([]);
      }),
      { numRuns: 2500, examples: prefixes.map((spec) => [spec]) },
    );
    // Nearly each field was in one that was taken; of what never was this says nothing.
    const all = fieldsOf(schema.properties!['spec']!);
    expect(all.length).toBeGreaterThan(150);
    expect(all.filter((path) => !seen.has(path)).length).toBeLessThan(25);
  });
});
