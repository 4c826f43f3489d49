// The mesh's own kinds: faults that only this webhook sees, with the field's path.

import { describe, expect, it } from '@jest/globals';
import type { TrafficPolicySpec } from '../resources/tsmesh.ts';
import { trustDomainFaults, validateResource } from './validate-handler.ts';

function findings(spec: Partial<TrafficPolicySpec>) {
  return validateResource('TrafficPolicy', {
    metadata: { name: 'cart' },
    spec: { service: { name: 'cart' }, ...spec },
  });
}

describe('a TrafficPolicy', () => {
  it('without fault passes', () => {
    const routes = [{ matches: [{ path: { regex: '/v[12]/.*' } }] }, {}];
    expect(findings({ routes, timeout: '1s' })).toEqual({ faults: [], warnings: [] });
    expect(findings({})).toEqual({ faults: [], warnings: [] });
  });

  it.each([
    [{ path: { regex: '/(' } }, 'spec.routes[0].matches[0].path.regex: "/("'],
    [{ path: { regex: 'a(?=x)' } }, 'path.regex'],
    [
      {
        headers: [
          { name: 'a', exact: 'b' },
          { name: 'x', regex: '[' },
        ],
      },
      'headers[1].regex: "["',
    ],
    [{ queryParams: [{ name: 'x', regex: 'a{2,1}' }] }, 'queryParams[0].regex'],
  ])('with a pattern that is no regular expression is refused by path (%j)', (match, text) => {
    const { faults } = findings({ routes: [{ matches: [match] }] });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(text);
    expect(faults[0]).toContain('is not a regular expression of RE2');
  });

  it('with a try longer than all tries together is refused, wherever the times stand', () => {
    const retries = { attempts: 1, perTryTimeout: '2s' };
    expect(findings({ timeout: '1s', routes: [{ retries }] }).faults[0]).toContain(
      'spec.routes[0].retries.perTryTimeout: 2s must not be longer than spec.timeout 1s',
    );
    expect(findings({ retries, routes: [{ timeout: '500ms' }] }).faults[0]).toContain(
      'spec.retries.perTryTimeout: 2s must not be longer than spec.routes[0].timeout 500ms',
    );
    expect(findings({ retries, routes: [{ timeout: '2s' }] }).faults).toEqual([]);
  });

  it('with a route that is never reached is warned of', () => {
    const { warnings } = findings({ routes: [{ name: 'all' }, { name: 'never' }] });
    expect(warnings).toEqual([
      'spec.routes[1] is never used: spec.routes[0] takes every request before',
    ]);
  });
});

describe('an AuthorizationPolicy', () => {
  const look = (spec: object, metadata: object = {}) =>
    validateResource('AuthorizationPolicy', {
      metadata: { name: 'cart', namespace: 'shop', ...metadata },
      spec,
    });

  it('with a fault is refused by its path, also one that only stands in an annotation', () => {
    const annotations = { 'tsmesh.dev/dry-run': 'on' };
    const when = [{ key: 'request.headers[a b]', values: ['x'] }];
    expect(look({ rules: [{ when }] }, { annotations })).toEqual({
      faults: [
        'metadata.annotations[tsmesh.dev/dry-run]: "on" must be "true" or "false"',
        'spec.rules[0].when[0].key: "request.headers[a b]" must name a header field, such as request.headers[x-user]',
      ],
      warnings: [],
    });
  });

  it.each([
    [{ rules: [{ from: [{ namespaces: ['shop'] }] }] }, {}, []],
    [{}, {}, ['an ALLOW policy without rules matches nothing']],
    [{ action: 'DENY', rules: [{ name: 'all' }] }, {}, ['refuses everything']],
    [{ action: 'AUDIT', rules: [{}] }, { namespace: 'tsmesh-system' }, ['of every namespace']],
    [{ rules: [{ from: [{ ipBlocks: ['10.0.0.0/8'] }] }] }, {}, ['ipBlocks look at the peer']],
    [
      { rules: [{ to: [{ methods: ['GET'] }, { notPaths: [{ prefix: '/admin/*' }] }] }] },
      {},
      ['spec.rules[0].to[1].notPaths: * is an ordinary character; for all below /admin'],
    ],
    [{ rules: [{ to: [{ paths: [{ template: '/users/{*}/{**}' }] }] }] }, {}, []],
    [
      { rules: [{ from: [{ namespaces: ['shop'] }] }] },
      { annotations: { 'tsmesh.dev/dryrun': 'true', 'tsmesh.dev/dry-run': 'false', team: 'a' } },
      ['metadata.annotations[tsmesh.dev/dryrun] says nothing to the mesh; the one for a dry run'],
    ],
  ])('is taken, with a warning of what is seldom meant: %j %j', (spec, metadata, words) => {
    const { faults, warnings } = look(spec, metadata);
    expect(faults).toEqual([]);
    expect(warnings).toEqual(words.map((word) => expect.stringContaining(word)));
    for (const warning of warnings) expect(warning.length).toBeLessThanOrEqual(256);
  });
});

describe('a Mesh', () => {
  it('whose sidecars could not start is refused', () => {
    const proxy = { resources: { limits: { memory: '32Mi' }, requests: { memory: '16Mi' } } };
    const { faults } = validateResource('Mesh', { metadata: { name: 'default' }, spec: { proxy } });
    expect(faults).toEqual([expect.stringContaining('spec.proxy.resources.limits.memory: 32Mi')]);
  });

  it('with an annotation that is to be a time and is none is refused', () => {
    const annotations = {
      'tsmesh.dev/renew': 'now',
      'tsmesh.dev/new-root': '2026-11-22T12:00:00Z',
    };
    const mesh = { metadata: { name: 'default', annotations }, spec: {} };
    expect(validateResource('Mesh', mesh).faults).toEqual([
      expect.stringContaining('metadata.annotations[tsmesh.dev/renew]: "now" is not a time'),
    ]);
  });

  it('for another trust domain than the CA is refused, but where a new root is accepted', () => {
    const now = Date.UTC(2026, 10, 22, 12);
    const mesh = { metadata: { name: 'default' }, spec: { trustDomain: 'b' } };
    expect(trustDomainFaults(mesh, 'a', now)).toEqual([
      expect.stringMatching(/^spec\.trustDomain: .* made for a,/),
    ]);
    const annotations = { 'tsmesh.dev/new-root': '2026-11-22T11:59:00Z' };
    const accepted = { ...mesh, metadata: { name: 'default', annotations } };
    expect(trustDomainFaults(accepted, 'a', now)).toEqual([]);
    expect(trustDomainFaults(mesh, 'b', now)).toEqual([]);
    expect(trustDomainFaults(mesh, null, now)).toEqual([]);
  });
});
