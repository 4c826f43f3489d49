// The capture rules in real network namespaces, with both iptables backends and both families.
// Needs root and fails without.

import type { ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  addresses,
  call,
  createNamespaces,
  inside,
  must,
  peer,
  pod,
  removeNamespaces,
  run,
  startAnswering,
  stop,
  type Finished,
} from './namespaces.ts';

const initScript = join(import.meta.dirname, '../../proxy/init/main.ts');
const settings = {
  excludeInboundPorts: [9090, 9091],
  excludeOutboundPorts: [3306],
  excludeOutboundCidrs: ['10.78.0.0/24', 'fd78::/64'],
};
const proxyUser = { uid: 15086, gid: 15086 };

let shims: string;

/** Runs the init container's program in the pod, with the named iptables programs broken. */
function init(broken: readonly string[], capture: object = settings): Finished {
  rmSync(shims, { recursive: true, force: true });
  shims = mkdtempSync(join(tmpdir(), 'tsmesh-t-'));
  for (const name of broken) {
    for (const kind of ['save', 'restore']) {
      const path = join(shims, `${name}-${kind}`);
      writeFileSync(path, `#!/bin/sh\necho "${name} is broken" >&2\nexit 1\n`);
      chmodSync(path, 0o755);
    }
  }
  return run(inside(pod, [process.execPath, initScript]), {
    TSMESH_CAPTURE: JSON.stringify(capture),
    PATH: `${shims}:${process.env['PATH']}`,
  });
}

function savedRules(backend: string): string {
  return ['iptables', 'ip6tables']
    .map((program) => must(inside(pod, [`${program}-${backend}-save`])))
    .join('')
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\[\d+:\d+\]/g, '[0:0]');
}

/** Packets dropped as INVALID so far, IPv4. */
function droppedPackets(backend: string): number {
  const list = must(inside(pod, [`iptables-${backend}`, '-nvxL', 'TSMESH_INVALID']));
  return Number(/^\s*(\d+)\s+\d+\s+DROP/m.exec(list)![1]);
}

beforeAll(() => {
  shims = mkdtempSync(join(tmpdir(), 'tsmesh-t-'));
});

afterAll(() => {
  removeNamespaces();
  rmSync(shims, { recursive: true, force: true });
});

describe.each([
  { backend: 'nft', broken: [] },
  { backend: 'legacy', broken: ['iptables-nft', 'ip6tables-nft'] },
])('capture with iptables $backend', ({ backend, broken }) => {
  const listeners: ChildProcess[] = [];

  beforeAll(async () => {
    createNamespaces();
    listeners.push(
      await startAnswering(pod, [
        'outbound!:15001',
        'inbound!:15006',
        'health:15020',
        'app:8080',
        'app:9090',
        'silent~:9091',
      ]),
      await startAnswering(peer, ['peer:80', 'peer:3306']),
    );
    const result = init(broken);
    expect(`${result.status} ${result.stderr}`).toBe('0 ');
    expect(result.stdout).toContain(`ipv4 captured with iptables (${backend})`);
    expect(result.stdout).toContain(`ipv6 captured with iptables (${backend})`);
  }, 30_000);

  afterAll(async () => {
    await Promise.all(listeners.splice(0).map(stop));
  });

  it.each(['198.51.100.7', '2001:db8::7', addresses.peer4, addresses.peer6])(
    'brings a connection of the app to %s to the outbound port, with its destination',
    (address) => {
      expect(call(pod, address, 80)).toBe(`outbound! 15001 ${address} 80`);
    },
  );

  it.each([addresses.pod4, addresses.pod6])(
    'brings a connection from outside to %s to the inbound port, with its destination',
    (address) => {
      expect(call(peer, address, 8080)).toBe(`inbound! 15006 ${address} 8080`);
    },
  );

  it.each([addresses.pod4, addresses.pod6])('leaves the health port at %s alone', (address) => {
    expect(call(peer, address, 15020)).toBe('health 15020');
  });

  it.each([addresses.pod4, addresses.pod6])('leaves an excluded port at %s alone', (address) => {
    expect(call(peer, address, 9090)).toBe('app 9090');
  });

  it.each([addresses.peer4, addresses.peer6])(
    'lets an excluded outbound port at %s pass',
    (address) => {
      expect(call(pod, address, 3306)).toBe('peer 3306');
    },
  );

  it.each([addresses.excluded4, addresses.excluded6])(
    'lets %s in an excluded prefix pass',
    (address) => {
      expect(call(pod, address, 80)).toBe('peer 80');
    },
  );

  it.each(['127.0.0.1', '::1', addresses.pod4, addresses.pod6])(
    'leaves the way to itself over %s alone',
    (address) => {
      expect(call(pod, address, 8080)).toBe('app 8080');
    },
  );

  it.each([
    ['user', { uid: 15086, gid: 1000 }],
    ['group', { uid: 1000, gid: 15086 }],
    ['user and group', proxyUser],
  ])('lets the traffic of the %s of the sidecar pass', (_what, user) => {
    expect(call(pod, addresses.peer4, 80, user)).toBe('peer 80');
    expect(call(pod, addresses.peer6, 80, user)).toBe('peer 80');
  });

  it('stays as it is when init runs a second time', () => {
    const before = savedRules(backend);
    expect(before).toContain('--to-ports 15001');
    expect(init(broken).status).toBe(0);
    expect(savedRules(backend)).toBe(before);
  });

  it('follows changed settings when init runs again', () => {
    expect(init(broken, { ...settings, excludeOutboundPorts: [] }).status).toBe(0);
    expect(call(pod, addresses.peer4, 3306)).toBe(`outbound! 15001 ${addresses.peer4} 3306`);
    expect(init(broken).status).toBe(0);
    expect(call(pod, addresses.peer4, 3306)).toBe('peer 3306');
  });

  it('drops inbound packets that belong to no connection', () => {
    // Without this the kernel takes up connections in the middle, and nothing is invalid.
    must(inside(pod, ['sysctl', '-qw', 'net.netfilter.nf_conntrack_tcp_loose=0']));
    const before = droppedPackets(backend);
    const forget = inside(pod, ['conntrack', '-F']).join(' ');
    const open = `exec 3<>/dev/tcp/${addresses.pod4}/9091`;
    run(inside(peer, ['timeout', '5', 'bash', '-c', `${open}; ${forget}; echo late >&3`]));
    expect(droppedPackets(backend)).toBeGreaterThan(before);
  });
});

describe('a pod whose IPv6 cannot be captured', () => {
  beforeAll(() => createNamespaces());

  it('does not start, and the reason says what would fix it', () => {
    const result = init(['ip6tables-nft', 'ip6tables-legacy']);
    expect(result.status).toBe(1);
    expect(result.stdout).toContain('this pod has an IPv6 address');
    expect(result.stdout).toContain('ip6tables-legacy is broken');
  });

  it('starts where it has no IPv6 address', () => {
    must(inside(pod, ['sysctl', '-qw', 'net.ipv6.conf.eth0.disable_ipv6=1']));
    const result = init(['ip6tables-nft', 'ip6tables-legacy']);
    expect(`${result.status} ${result.stderr}`).toBe('0 ');
    expect(result.stdout).toContain('IPv6 is not captured');
  });
});

describe('settings that are wrong', () => {
  beforeAll(() => createNamespaces());

  it('stop init before it changes anything, and the field is named', () => {
    const result = init([], { ...settings, excludeOutboundPorts: [70_000] });
    expect(result.status).toBe(1);
    expect(result.stdout).toContain('TSMESH_CAPTURE: /excludeOutboundPorts/0');
    expect(savedRules('nft')).not.toContain('TSMESH');
  });
});
