// Rules of CRDs in CEL: the language as far as they use it, and what they say of objects. That the API server says
// the same is in test/cluster/crds.test.ts.

import { describe, expect, it } from '@jest/globals';
import { crdSchemas } from '../generated/crd-schemas.ts';
import { compileCel } from './compile.ts';
import { celFaults, type CelSchema } from './rules.ts';

function value(source: string, self: unknown = {}): unknown {
  return compileCel(source)({ self });
}

describe('an expression', () => {
  const self = { name: 'cart', list: [1, 2, 3], labels: { app: 'a', tier: 'b' }, inner: { a: {} } };

  it.each<[string, unknown]>([
    ['1 + 2 - 4', -1],
    ['(1 + 2) - (4 - 3)', 2],
    ['1 < 2 && 2 <= 2 && !(3 < 3)', true],
    ['1 > 2 || 2 >= 3', false],
    ["self.name == 'cart' ? 'yes' : 'no'", 'yes'],
    ["self.name != 'cart' ? 'yes' : 1 == 1 ? 'no' : 'never'", 'no'],
    ["'a' in ['a', 'b'] && !('c' in ['a', 'b'])", true],
    ["'app' in self.labels", true],
    ['[1, 2] == [1, 2] && [] != [1]', true],
    ['self.list.all(n, n < 4) && self.list.exists(n, n == 3)', true],
    ['self.list.exists_one(n, n > 1)', false],
    ['self.list.filter(n, n > 1).size()', 2],
    ["self.labels.all(k, k.matches('^[a-z]+$'))", true],
    ['self.list.all(n, self.list.exists(m, m == n))', true],
    ['has(self.name) && !has(self.nothing) && !has(self.inner.a.b)', true],
    ['self.labels.size() + self.name.size()', 6],
    ["'Grüße'.size()", 5],
    ["'abcd'.substring(1, 3) + 'x'.substring(0)", 'bcx'],
    ["'ÄB'.lowerAscii()", 'Äb'],
    ["'a/b'.contains('/') && 'a/b'.startsWith('a') && 'a/b'.endsWith('b')", true],
    ["'xay'.matches('a') && !'xay'.matches('^a$')", true],
    ["'\\\\x41\\n\\u0042' == '\\\\x41\\nB'", true],
    ["\"it's\" == 'it\\'s'", true],
    ["duration('1h') > duration('59m59s') && duration('90s') == duration('1m30s')", true],
    ["int('12') <= 12", true],
    ["isQuantity('1.5') && isQuantity('0') && !isQuantity('x')", true],
    ["quantity('1Gi').compareTo(quantity('1G'))", 1],
    ["quantity('-1').compareTo(quantity('0'))", -1],
    ["isIP('10.0.0.1') && isIP('fd00::1') && !isIP('fe80::1%eth0') && !isIP('10.0.0')", true],
    ["isCIDR('10.0.0.0/8') && isCIDR('fd00::/128') && !isCIDR('10.0.0.0/33')", true],
    ["isCIDR('10.0.0.1') || isCIDR('10.0.0.0/08') || isCIDR('10.0.0.0/8/8')", false],
    [
      "isURL('http://o.tel:4317/v1') && isURL('/v1') && !isURL('o.tel') && !isURL('http://o tel')",
      true,
    ],
    ["isURL('http://o.tel:port') || isURL('http://[fd00::1') || isURL('')", false],
  ])('%s is %j', (source, expected) => {
    expect(value(source, self)).toEqual(expected);
  });

  it.each([
    'self.nothing',
    'self.nothing.more == 1',
    'other == 1',
    "int('x') == 1",
    "duration('10') > duration('1s')",
    "quantity('x').compareTo(quantity('1')) > 0",
    "'a'.matches('(')",
    "'abc'.substring(2, 1) == ''",
    'self.name && true',
    'self.name.all(k, true)',
    'has(self.nothing.more)',
    '1.size() == 1',
    "self.list.startsWith('a')",
  ])('%s reports an error', (source) => {
    expect(() => value(source, self)).toThrow();
  });

  it('does not mind an error on the side that does not decide', () => {
    expect(value("int('x') == 1 || true")).toBe(true);
    expect(value("true || int('x') == 1")).toBe(true);
    expect(value("int('x') == 1 && false")).toBe(false);
    expect(() => value("int('x') == 1 && true")).toThrow('x is no integer');
    expect(() => value("int('x') == 1 || false")).toThrow('x is no integer');
  });

  it.each([
    '1 +',
    '(1',
    '[1',
    'self.',
    'self.all(1)',
    'f(1)',
    'self.g(1)',
    '1 2',
    'a # b',
    "'a",
    '? 1',
  ])('that is no CEL, or beyond what rules use, is refused when it is read: %s', (source) => {
    expect(() => compileCel(source)).toThrow(SyntaxError);
  });
});

function rulesOf(schema: unknown): string[] {
  if (Array.isArray(schema)) return schema.flatMap(rulesOf);
  if (typeof schema !== 'object' || schema === null) return [];
  const own = (schema as CelSchema)['x-kubernetes-validations'] ?? [];
  return [...own.map(({ rule }) => rule), ...Object.values(schema).flatMap(rulesOf)];
}

describe('the rules of the CRDs', () => {
  it('are all understood', () => {
    const rules = [...new Set(rulesOf(crdSchemas))];
    expect(rules.length).toBeGreaterThan(50);
    for (const rule of rules) expect([rule, typeof compileCel(rule)]).toEqual([rule, 'function']);
  });

  const of = (kind: string, spec: object) =>
    celFaults(crdSchemas[kind] as CelSchema, { metadata: { name: 'default' }, spec });

  it('say what is wrong, where', () => {
    const route = { matches: [{ path: { exact: '/a?b', prefix: '/a' } }] };
    const found = of('TrafficPolicy', { service: { name: 'Cart' }, routes: [route] });
    expect(found).toEqual([
      { path: 'spec.service.name', message: expect.stringContaining('the name of a Service') },
      {
        path: 'spec.routes[0].matches[0].path',
        message: 'must have exactly one of exact, prefix, regex',
      },
      {
        path: 'spec.routes[0].matches[0].path.exact',
        message: expect.stringContaining('have no query'),
      },
    ]);
  });

  it('look into maps, lists of maps, and the object as a whole', () => {
    expect(of('PeerAuthentication', { portLevelMtls: { http: { mode: 'STRICT' } } })).toEqual([
      { path: 'spec.portLevelMtls', message: expect.stringContaining('port numbers') },
    ]);
    const subsets = [1, 2].map((version) => ({ name: 'a', labels: { version: `${version}` } }));
    const found = of('TrafficPolicy', { service: { name: 'cart' }, subsets });
    expect(found).toEqual([{ path: 'spec.subsets[1]', message: '["a"] stands there already' }]);
    const other = celFaults(crdSchemas['Mesh'] as CelSchema, { metadata: { name: 'x' }, spec: {} });
    expect(other).toEqual([{ path: '', message: expect.stringContaining('must be default') }]);
  });

  it('have nothing to say of what is right, or of changes', () => {
    expect(of('Mesh', { trustDomain: 'other.example' })).toEqual([]);
    expect(of('PeerAuthentication', { portLevelMtls: { '8080': { mode: 'STRICT' } } })).toEqual([]);
  });
});
