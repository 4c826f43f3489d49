// The CRDs on a real API server: samples are taken as they are, and what is invalid is refused at
// admission with the path of the field and what would be valid.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { checkObjects } from '../../operator/cli/files/check.ts';
import { readDocuments } from '../../operator/cli/files/documents.ts';
import { applyRefused, getJson, kubectl, tryKubectl } from '../support/kubectl.ts';
import { createNamespace, deleteNamespace } from '../support/namespaces.ts';
import { resource } from '../support/policies.ts';

const namespace = 't-crds';
const cart = { service: { name: 'cart' } };

/** One route of a TrafficPolicy, so that what is wrong stands at spec.routes[0]. */
function route(spec: object): object {
  return { ...cart, routes: [spec] };
}

/** One rule of an AuthorizationPolicy, so that what is wrong stands at spec.rules[0]. */
function rule(spec: object): object {
  return { rules: [spec] };
}

function from(spec: object): object {
  return rule({ from: [spec] });
}

function to(spec: object): object {
  return rule({ to: [spec] });
}

function when(spec: object): object {
  return rule({ when: [spec] });
}

/** What the command line finds in the same manifest. */
function checkedWithoutCluster(text: string): string {
  const { objects } = readDocuments([{ name: 'bad', text }], namespace);
  return checkObjects(objects).faults.join();
}

type Case = [what: string, spec: object, path: string, valid: RegExp | string];

function cases(kind: string, list: Case[], name = 'bad'): void {
  it.each(list)(`${kind} with %s`, async (_what, spec, path, valid) => {
    const scope = kind === 'Mesh' ? '' : namespace;
    const text = resource(kind, scope, name, spec);
    const words = await applyRefused(text);
    expect(words).toContain(path);
    expect(words).toMatch(valid);
    // What compares with the object before it needs the cluster.
    if (valid !== 'immutable') expect(checkedWithoutCluster(text)).toContain(path);
  });
}

describe('the CRDs', () => {
  beforeAll(() => createNamespace(namespace, false), 60_000);
  afterAll(() => deleteNamespace(namespace), 120_000);

  it('take every sample, and applying them again changes nothing', async () => {
    const files = ['peer-authentication-namespace', 'peer-authentication-port'];
    files.push('traffic-policy-canary', 'traffic-policy-paths', 'traffic-policy-web');
    files.push('traffic-policy-mirror', 'traffic-policy-fault', 'traffic-policy-rate-limit');
    files.push('traffic-policy-consistent-hash', 'traffic-policy-resilience');
    files.push('authorization-audit', 'authorization-callers');
    files.push('authorization-deny-all', 'authorization-dry-run');
    for (const file of files) {
      const apply = async (): Promise<string> => {
        const path = `config/samples/${file}.yaml`;
        const sample = await kubectl('create', '--dry-run=client', '-o', 'json', '-f', path);
        const object = JSON.parse(sample) as { metadata: { namespace: string } };
        object.metadata.namespace = namespace;
        const result = await tryKubectl(['apply', '-f', '-'], JSON.stringify(object));
        const warned = result.stderr.replaceAll(
          /^Warning: an ALLOW policy without rules.*\n/gm,
          '',
        );
        expect(warned).toBe('');
        return result.stdout;
      };
      expect(await apply()).toContain('created');
      expect(await apply()).toContain('unchanged');
    }
  });

  it('take the sample Mesh', async () => {
    const result = await tryKubectl([
      'apply',
      '--dry-run=server',
      '-f',
      'config/samples/mesh.yaml',
    ]);
    expect(result).toMatchObject({ code: 0 });
  });

  it.each(['none', 'errors', 'all'])('take accessLog: %s unquoted', async (mode) => {
    const yaml = `apiVersion: tsmesh.dev/v1alpha1\nkind: Mesh\nmetadata: { name: default }\nspec:\n  accessLog: ${mode}\n`;
    const result = await tryKubectl(['apply', '--dry-run=server', '-f', '-'], yaml);
    expect(result).toMatchObject({ code: 0 });
  });

  it('take a timeout of 0s, which means none', async () => {
    const yaml = resource('TrafficPolicy', namespace, 'endless', { ...cart, timeout: '0s' });
    const result = await tryKubectl(['apply', '--dry-run=server', '-f', '-'], yaml);
    expect(result).toMatchObject({ code: 0 });
  });

  it('fill in the defaults that they promise', async () => {
    const { spec } = await getJson<{ spec: object }>('mesh', 'default');
    expect(spec).toMatchObject({ trustDomain: 'cluster.local', mtls: {}, certificates: {} });
    await kubectl('get', 'msh,pa,tp,ap,ms', '-n', namespace);
    await kubectl('get', 'tsmesh', '-n', namespace);
  });

  describe('refuse a', () => {
    cases('Mesh', [['another name', {}, 'metadata.name', 'must be default']], 'other');
    cases(
      'Mesh',
      [
        ['another trust domain', { trustDomain: 'other.example' }, 'spec.trustDomain', 'immutable'],
        [
          'a lifetime that is too short',
          { certificates: { workloadLifetime: '5m' } },
          'spec.certificates.workloadLifetime',
          /from 15m to 8760h, such as 24h/,
        ],
        [
          'a leaf that outlives its root',
          { certificates: { workloadLifetime: '48h', rootLifetime: '24h' } },
          'spec.certificates',
          'workloadLifetime must be shorter than rootLifetime',
        ],
        ['an unknown mode', { mtls: { mode: 'ON' } }, 'spec.mtls.mode', /STRICT.*PERMISSIVE/],
        [
          'a duration without a unit',
          { defaults: { timeout: '10' } },
          'spec.defaults.timeout',
          /500ms, 10s or 1m30s/,
        ],
        [
          'a number for a duration',
          { defaults: { timeout: 10 } },
          'spec.defaults.timeout',
          'of type string',
        ],
        [
          'an amount of memory that is none',
          { proxy: { resources: { requests: { memory: '1X' } } } },
          'spec.proxy.resources.requests.memory',
          'such as 128Mi',
        ],
        [
          'requests above limits',
          { proxy: { resources: { requests: { memory: '1Gi' }, limits: { memory: '1Mi' } } } },
          'spec.proxy.resources',
          'requests.memory must not be above limits.memory',
        ],
        [
          'more cores than a sidecar can use',
          { proxy: { concurrency: 17 } },
          'spec.proxy.concurrency',
          'less than or equal to 16',
        ],
        [
          'no image reference',
          { proxy: { image: 'a b' } },
          'spec.proxy.image',
          'must be an image reference',
        ],
        [
          'an unknown reading of odd paths',
          { authorization: { ambiguousPaths: 'Reject' } },
          'spec.authorization.ambiguousPaths',
          /AllReadings.*Refuse/,
        ],
        [
          'an unknown outbound policy',
          { outboundPolicy: 'Any' },
          'spec.outboundPolicy',
          /AllowAny.*RegistryOnly/,
        ],
      ],
      'default',
    );

    cases('PeerAuthentication', [
      [
        'a port name for a number',
        { portLevelMtls: { http: { mode: 'STRICT' } } },
        'spec.portLevelMtls',
        /1 to 65535/,
      ],
      [
        'a port out of range',
        { portLevelMtls: { '70000': { mode: 'STRICT' } } },
        'spec.portLevelMtls',
        /1 to 65535/,
      ],
      [
        'an unknown mode',
        { mtls: { mode: 'strict' } },
        'spec.mtls.mode',
        /STRICT.*PERMISSIVE.*DISABLE.*UNSET/,
      ],
      [
        'a selector of no label name',
        { selector: { matchLabels: { 'a b': 'c' } } },
        'spec.selector.matchLabels',
        /app\.kubernetes\.io\/name/,
      ],
    ]);

    cases('TrafficPolicy', [
      ['no Service', {}, 'spec.service', 'Required value'],
      [
        'a name that no Service has',
        { service: { name: 'A_b' } },
        'spec.service.name',
        /lower-case letters/,
      ],
      [
        'a port out of range',
        { service: { name: 'cart', port: 0 } },
        'spec.service.port',
        /greater than or equal to 1/,
      ],
      [
        'a subset that is not declared',
        route({ backends: [{ subset: 'v9' }] }),
        'spec.routes',
        /name of an entry of spec\.subsets/,
      ],
      [
        'only weights of 0',
        route({ backends: [{ weight: 0 }] }),
        'spec.routes[0].backends',
        /weight above 0/,
      ],
      [
        'a weight out of range',
        route({ backends: [{ weight: 2000 }] }),
        'spec.routes[0].backends[0].weight',
        /less than or equal to 1000/,
      ],
      [
        'two kinds of path match at once',
        route({ matches: [{ path: { exact: '/a', prefix: '/b' } }] }),
        'spec.routes[0].matches[0].path',
        'exactly one of exact, prefix, regex',
      ],
      [
        'a path without a slash',
        route({ matches: [{ path: { exact: 'a' } }] }),
        'spec.routes[0].matches[0].path.exact',
        "begin with '/'",
      ],
      [
        'a broken expression',
        route({ matches: [{ path: { regex: '(' } }] }),
        'spec.routes[0].matches[0].path.regex',
        /regular expression/,
      ],
      [
        'a header match of nothing',
        route({ matches: [{ headers: [{ name: 'x-user' }] }] }),
        'spec.routes[0].matches[0].headers[0]',
        'exactly one of exact, prefix, regex, present',
      ],
      [
        'a method in small letters',
        route({ matches: [{ methods: ['get'] }] }),
        'spec.routes[0].matches[0].methods[0]',
        /such as GET/,
      ],
      [
        'a redirect and backends',
        route({ redirect: { port: 99 }, backends: [{}] }),
        'spec.routes[0]',
        'either redirect, directResponse or backends',
      ],
      [
        'a fault where nothing is sent on',
        route({ directResponse: { status: 200 }, fault: { abort: { status: 500 } } }),
        'spec.routes[0]',
        'need a request that is sent on',
      ],
      [
        'a rewrite that would end the line of the request',
        route({ rewrite: { path: { full: '/a HTTP/1.1\r\nx: y' } } }),
        'spec.routes[0].rewrite.path.full',
        /written as it is sent/,
      ],
      [
        'a redirect that would end the line of its field',
        route({ redirect: { path: { full: '/a\r\nset-cookie: b=c' } } }),
        'spec.routes[0].redirect.path.full',
        /written as it is sent/,
      ],
      [
        'a redirect to where the client came from',
        route({ redirect: { status: 301 } }),
        'spec.routes[0].redirect',
        /scheme, host, port or path/,
      ],
      [
        'a mirror of no declared subset',
        route({ mirrors: [{ subset: 'v9' }] }),
        'spec.routes',
        'every mirrors[].subset',
      ],
      [
        'a mirror to itself',
        route({ mirrors: [{ percent: 5 }] }),
        'spec.routes[0].mirrors[0]',
        'handled twice',
      ],
      [
        'a share above the whole',
        route({ mirrors: [{ service: 'copy', percent: 100.1 }] }),
        'spec.routes[0].mirrors[0].percent',
        /less than or equal to 100/,
      ],
      [
        'a share below nothing',
        route({ fault: { delay: { duration: '1s', percent: -1 } } }),
        'spec.routes[0].fault.delay.percent',
        /greater than or equal to 0/,
      ],
      [
        'an abort without an answer',
        route({ fault: { abort: { percent: 5 } } }),
        'spec.routes[0].fault.abort',
        'status, grpcCode or both',
      ],
      [
        'a status that is none',
        route({ fault: { abort: { status: 99 } } }),
        'spec.routes[0].fault.abort.status',
        /greater than or equal to 200/,
      ],
      [
        'a gRPC code that is no error',
        route({ fault: { abort: { grpcCode: 'OK' } } }),
        'spec.routes[0].fault.abort.grpcCode',
        /UNAVAILABLE/,
      ],
      [
        'a body for a status that has none',
        route({ directResponse: { status: 204, body: 'x' } }),
        'spec.routes[0].directResponse',
        'has no body',
      ],
      [
        'credentials for every origin',
        route({ cors: { allowOrigins: ['*'], allowCredentials: true } }),
        'spec.routes[0].cors',
        'allowOrigins to be named',
      ],
      [
        'an origin with a path',
        route({ cors: { allowOrigins: ['https://a.example/x'] } }),
        'spec.routes[0].cors.allowOrigins[0]',
        'https://shop.example',
      ],
      [
        'gRPC and a path',
        route({ matches: [{ grpc: { method: 'Add' }, path: { prefix: '/' } }] }),
        'spec.routes[0].matches[0]',
        'in place of path and methods',
      ],
      [
        'a gRPC method that is a path',
        route({ matches: [{ grpc: { method: 'Cart/Add' } }] }),
        'spec.routes[0].matches[0].grpc.method',
        'such as AddItem',
      ],
      [
        'a namespace that is none',
        route({ matches: [{ source: { namespaces: ['Shop'] } }] }),
        'spec.routes[0].matches[0].source.namespaces[0]',
        'such as shop',
      ],
      [
        'a caller of whom nothing is said',
        route({ matches: [{ source: {} }] }),
        'spec.routes[0].matches[0].source',
        /at least 1 propert|should have at least 1/,
      ],
      ['an endless time', { ...cart, timeout: '1e9h' }, 'spec.timeout', /from 0s to 24h/],
      ['a time beyond all', { ...cart, idleTimeout: '99999h' }, 'spec.idleTimeout', /0s to 24h/],
      [
        'no time to connect',
        { ...cart, connectTimeout: '0s' },
        'spec.connectTimeout',
        /from 1ms to 1m/,
      ],
      [
        'a status to retry that is well',
        { ...cart, retries: { attempts: 1, retryStatuses: [200] } },
        'spec.retries.retryStatuses[0]',
        /greater than or equal to 400/,
      ],
      [
        'a gRPC code to retry that is none',
        { ...cart, retries: { attempts: 1, retryGrpcCodes: [17] } },
        'spec.retries.retryGrpcCodes[0]',
        /UNAVAILABLE/,
      ],
      [
        'a hash of nothing',
        { ...cart, loadBalancing: { method: 'ConsistentHash' } },
        'spec.loadBalancing',
        'goes with method ConsistentHash',
      ],
      [
        'two values where one is hashed',
        {
          ...cart,
          loadBalancing: {
            method: 'ConsistentHash',
            consistentHash: { by: [{ header: 'a', sourceAddress: true }] },
          },
        },
        'spec.loadBalancing.consistentHash.by[0]',
        'exactly one of header',
      ],
      [
        'an interval in which nothing is compared',
        { ...cart, outlierDetection: { interval: '5s' } },
        'spec.outlierDetection',
        'interval is for successRate and latency',
      ],
      [
        'a limit of 0',
        { ...cart, limits: { maxActiveRequests: 0 } },
        'spec.limits.maxActiveRequests',
        /greater than or equal to 1/,
      ],
      [
        'a rate of nothing',
        { ...cart, rateLimits: [{ name: 'a' }] },
        'spec.rateLimits[0]',
        'exactly one of requests, connections',
      ],
      [
        'two rate limits of one name',
        { ...cart, rateLimits: [1, 2].map((requests) => ({ name: 'a', requests })) },
        'spec.rateLimits[1]',
        'Duplicate value',
      ],
      [
        'connections counted by header',
        { ...cart, rateLimits: [{ name: 'a', connections: 1, per: [{ header: 'x' }] }] },
        'spec.rateLimits[0]',
        'per identity only',
      ],
      [
        'a rate limit by labels of the caller',
        { ...cart, rateLimits: [{ name: 'a', requests: 1, matches: [{ source: {} }] }] },
        'spec.rateLimits[0].matches[0].source',
        /unknown field/,
      ],
      // Only the webhook sees this.
      [
        'a rate limit at a port that the policy does not hold for',
        { service: { name: 'cart', port: 80 }, rateLimits: [{ name: 'a', requests: 1, port: 81 }] },
        'spec.rateLimits[0].port',
        'holds for port 80 only',
      ],
      [
        'two routes of one name',
        { ...cart, routes: [{ name: 'a' }, { name: 'a' }] },
        'spec.routes',
        'must be unique',
      ],
      [
        'two subsets of one name',
        { ...cart, subsets: [1, 2].map(() => ({ name: 'a', labels: { a: 'b' } })) },
        'spec.subsets[1]',
        'Duplicate value',
      ],
      [
        'too many attempts',
        { ...cart, retries: { attempts: 50 } },
        'spec.retries.attempts',
        /less than or equal to 10/,
      ],
      [
        'an unknown retry condition',
        { ...cart, retries: { attempts: 1, retryOn: ['x'] } },
        'spec.retries.retryOn[0]',
        /connect-failure.*gateway-error/,
      ],
      [
        'an attempt longer than the whole',
        { ...cart, timeout: '1s', retries: { attempts: 1, perTryTimeout: '2s' } },
        'spec',
        'perTryTimeout must not be longer than timeout',
      ],
      [
        'a header that belongs to the connection',
        route({ requestHeaders: { set: [{ name: 'Host', value: 'x' }] } }),
        'spec.routes[0].requestHeaders.set[0].name',
        'use rewrite.host',
      ],
      [
        'a header value with a line feed',
        route({ requestHeaders: { set: [{ name: 'a', value: 'x\ny' }] } }),
        'spec.routes[0].requestHeaders.set[0].value',
        'control characters',
      ],
      [
        'a prefix to replace that was not matched',
        route({ rewrite: { path: { prefix: '/a' } } }),
        'spec.routes[0]',
        'must have path.prefix; or use rewrite.path.full',
      ],
    ]);

    cases('AuthorizationPolicy', [
      ['an unknown action', { action: 'deny' }, 'spec.action', /ALLOW.*DENY.*AUDIT/],
      ['a DENY that matches nothing', { action: 'DENY' }, 'spec.rules', /one rule that is empty/],
      [
        'a selector of no label name',
        { selector: { matchLabels: { 'a b': 'c' } } },
        'spec.selector.matchLabels',
        /app\.kubernetes\.io\/name/,
      ],
      [
        'two rules of one name',
        { rules: [1, 2].map(() => ({ name: 'a' })) },
        'spec.rules',
        'unique',
      ],
      ['a name that is none', rule({ name: 'Rule 1' }), 'spec.rules[0].name', 'such as readers'],
      ['a caller of whom nothing is said', from({}), 'spec.rules[0].from[0]', 'leave `from` out'],
      ['an empty list', from({ namespaces: [] }), 'from[0].namespaces', /at least 1 item/],
      [
        'an identity with its scheme',
        from({ identities: ['spiffe://cluster.local/ns/shop/sa/cart'] }),
        'spec.rules[0].from[0].identities[0]',
        'without spiffe://',
      ],
      [
        'an identity that is none',
        from({ identities: ['cart'] }),
        'identities[0]',
        'serviceAccounts',
      ],
      [
        'a * within an identity',
        from({ identities: ['cluster.local/*/sa/cart'] }),
        'identities[0]',
        "'*' only at its begin or at its end",
      ],
      ['a * at both ends', from({ notIdentities: ['*shop*'] }), 'notIdentities[0]', 'not at both'],
      ['no namespace', from({ namespaces: ['Shop'] }), 'namespaces[0]', 'such as shop or team-*'],
      [
        'no service account',
        from({ serviceAccounts: ['a/b/c'] }),
        'serviceAccounts[0]',
        'such as cart',
      ],
      [
        'no address block',
        from({ ipBlocks: ['10.0.0.0/33'] }),
        'ipBlocks[0]',
        /CIDR block, such as 10\.0\.0\.7/,
      ],
      ['a request of which nothing is said', to({}), 'spec.rules[0].to[0]', 'leave `to` out'],
      ['no host', to({ hosts: ['http://cart'] }), 'to[0].hosts[0]', 'such as cart.shop'],
      ['a port out of range', to({ ports: [70_000] }), 'to[0].ports[0]', /equal to 65535/],
      ['a method in small letters', to({ methods: ['get'] }), 'methods[0]', /such as GET/],
      [
        'two kinds of path at once',
        to({ paths: [{ exact: '/a', prefix: '/b' }] }),
        'spec.rules[0].to[0].paths[0]',
        'exactly one of exact, prefix, suffix, template',
      ],
      ['a path with a query', to({ paths: [{ exact: '/a?b' }] }), 'paths[0].exact', 'no query'],
      [
        'a path without a slash',
        to({ notPaths: [{ prefix: 'a' }] }),
        'notPaths[0].prefix',
        "with '/'",
      ],
      [
        'a template that is none',
        to({ paths: [{ template: '/users/{id}' }] }),
        'paths[0].template',
        'such as /users/{*}/orders',
      ],
      [
        'an unknown attribute',
        when({ key: 'request.header[x]', values: ['a'] }),
        'spec.rules[0].when[0].key',
        'request.headers[name], source.ip',
      ],
      [
        'a condition of nothing',
        when({ key: 'source.ip' }),
        'spec.rules[0].when[0]',
        'must have values or notValues',
      ],
      [
        'a condition on no address',
        when({ key: 'source.ip', values: ['web'] }),
        'when[0].values',
        'must be IP addresses or CIDR blocks',
      ],
      [
        'a condition on no port',
        when({ key: 'destination.port', notValues: ['http'] }),
        'when[0].notValues',
        'must be ports',
      ],
      // Only the webhook sees these.
      [
        'an identity of no layout that the mesh has',
        from({ identities: ['cluster.local/ns/shop/cart'] }),
        'spec.rules[0].from[0].identities[0]',
        'must be an identity of the mesh',
      ],
      [
        'a host of odd brackets',
        to({ hosts: ['[::1'] }),
        'spec.rules[0].to[0].hosts[0]',
        'must be like cart.shop',
      ],
    ]);

    it('AuthorizationPolicy whose dry run is neither true nor false', async () => {
      const object = JSON.parse(resource('AuthorizationPolicy', namespace, 'bad', {})) as {
        metadata: { annotations?: object };
      };
      object.metadata.annotations = { 'tsmesh.dev/dry-run': 'yes' };
      const words = await applyRefused(JSON.stringify(object));
      expect(words).toContain('metadata.annotations[tsmesh.dev/dry-run]');
      expect(words).toContain('must be "true" or "false"');
    });

    it('MeshStatus of a name that the operator does not write', async () => {
      const object = {
        apiVersion: 'tsmesh.dev/v1alpha1',
        kind: 'MeshStatus',
        metadata: { name: 'x' },
      };
      const words = await applyRefused(JSON.stringify(object));
      expect(words).toMatch(/metadata\.name must be mesh\.default or namespace\.<name>/);
    });

    it('field that does not exist, naming it', async () => {
      const words = await applyRefused(
        resource('TrafficPolicy', namespace, 'bad', { ...cart, retires: {} }),
      );
      expect(words).toContain('unknown field "spec.retires"');
    });
  });
});
