import { describe, expect, it } from '@jest/globals';
import { configFromEnvironment, configFromFile, type Environment } from './config.ts';

const bootstrap = {
  trustDomain: 'cluster.local',
  serviceAccount: 'cart',
  operatorAddresses: ['10.96.0.9:15012', 'tsmesh-operator.tsmesh-system.svc:15012'],
  logLevel: 'info',
  gracePeriodSeconds: 20,
  hookToken: 'a'.repeat(32),
  probes: [],
};

const env: Environment = {
  TSMESH_BOOTSTRAP: JSON.stringify(bootstrap),
  TSMESH_POD_NAME: 'cart-1',
  TSMESH_POD_NAMESPACE: 'shop',
  TSMESH_POD_UID: 'u1',
  TSMESH_POD_IPS: '10.0.0.7,fd00::7',
};

describe('settings from the environment', () => {
  it('become one form with the fixed ports and paths', () => {
    const config = configFromEnvironment(env);
    expect(config.source).toMatchObject({
      type: 'operator',
      pod: { namespace: 'shop', name: 'cart-1', uid: 'u1', ips: ['10.0.0.7', 'fd00::7'] },
    });
    expect(config.expectedIdentity).toEqual({
      trustDomain: 'cluster.local',
      namespace: 'shop',
      serviceAccount: 'cart',
    });
    expect(config.outbound).toEqual([{ host: '::', port: 15001, destination: null }]);
    expect(config.gracePeriodMs).toBe(20_000);
    expect(config.hookToken).toBe(bootstrap.hookToken);
  });

  it.each(Object.keys(env))('name the variable %s when it is missing', (name) => {
    expect(() => configFromEnvironment({ ...env, [name]: undefined })).toThrow(name);
  });

  it.each([undefined, '', 'a'.repeat(31), 'A'.repeat(32)])(
    'refuse the hook token %j',
    (hookToken) => {
      const text = JSON.stringify({ ...bootstrap, hookToken });
      expect(() => configFromEnvironment({ ...env, TSMESH_BOOTSTRAP: text })).toThrow('hookToken');
    },
  );

  it('say which field is wrong', () => {
    const wrong = { ...bootstrap, logLevel: 'loud' };
    expect(() =>
      configFromEnvironment({ ...env, TSMESH_BOOTSTRAP: JSON.stringify(wrong) }),
    ).toThrow('TSMESH_BOOTSTRAP: /logLevel must be one of: error, warn, info, debug');
    expect(() => configFromEnvironment({ ...env, TSMESH_BOOTSTRAP: '{' })).toThrow('is not JSON');
  });
});

describe('settings from a local file', () => {
  it('take listeners with the destination that iptables would have given', () => {
    const file = {
      resources: [],
      outbound: [{ listen: '127.0.0.1:0', destination: '[fd00::7]:80' }],
      health: '[::1]:15020',
    };
    const config = configFromFile(JSON.stringify(file), 'mesh.json');
    expect(config.outbound).toEqual([
      { host: '127.0.0.1', port: 0, destination: { address: 'fd00::7', port: 80 } },
    ]);
    expect(config.health).toEqual({ host: '::1', port: 15020, destination: null });
    expect(config.identityDirectory).toBeNull();
    expect(config.hookToken).toBeNull();
  });

  it('refuse ports out of range, with the address', () => {
    const file = { resources: [], outbound: [{ listen: '127.0.0.1:70000' }] };
    expect(() => configFromFile(JSON.stringify(file), 'mesh.json')).toThrow('127.0.0.1:70000');
  });

  it('refuse a misspelt field, with its name and the file', () => {
    expect(() => configFromFile('{"resources":[],"inbuond":[]}', 'mesh.json')).toThrow(
      'mesh.json: / has an unknown field "inbuond"',
    );
  });
});

describe('the number of cores', () => {
  const ofBootstrap = (concurrency?: number) =>
    configFromEnvironment({
      ...env,
      TSMESH_BOOTSTRAP: JSON.stringify({ ...bootstrap, concurrency }),
    }).concurrency;
  const ofFile = (concurrency?: number) =>
    configFromFile(JSON.stringify({ resources: [], concurrency }), 'mesh.json').concurrency;

  it('is one where nobody says more', () => {
    expect([ofBootstrap(), ofFile()]).toEqual([1, 1]);
    expect([ofBootstrap(16), ofFile(2)]).toEqual([16, 2]);
  });

  it.each([0, 17, 1.5])('is refused where it is %d, with the field', (concurrency) => {
    expect(() => ofBootstrap(concurrency)).toThrow('TSMESH_BOOTSTRAP: /concurrency must be');
    expect(() => ofFile(concurrency)).toThrow('mesh.json: /concurrency must be');
  });
});
