// A sidecar on two cores behind the real capture rules: both threads ask the kernel where a redirected
// connection wanted to go. Needs root and fails without.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { LocalFile } from '../../proxy/api/validate.ts';
import { metric } from '../support/metrics.ts';
import { workload } from '../support/sidecar.ts';
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
} from './namespaces.ts';

const program = (name: string): string => join(import.meta.dirname, '../../proxy', name);
/** The kernel spreads them by hash: that one thread gets none is one chance in 2^15. */
const many = 16;

let folder: string;
const children: ChildProcess[] = [];

function configFile(): string {
  const tcp = { protocol: 'tcp', mtls: 'PERMISSIVE', decidedBy: 'Mesh default' } as const;
  const own = { ...workload(tcp), accessLog: 'off' as const };
  const content: LocalFile = {
    resources: [own],
    outbound: [{ listen: '[::]:15001' }],
    inbound: [{ listen: '[::]:15006' }],
    health: '[::]:15020',
    concurrency: 2,
  };
  const path = join(folder, 'config.json');
  writeFileSync(path, JSON.stringify(content));
  return path;
}

async function startSidecar(): Promise<void> {
  const user = ['setpriv', '--reuid=15086', '--regid=15086', '--clear-groups'];
  const command = [...user, process.execPath, program('main.ts')];
  const [first, ...rest] = inside(pod, command);
  const child = spawn(first!, rest, {
    env: { ...process.env, TSMESH_CONFIG_FILE: configFile() },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  expect(line.toString()).toContain('sidecar started');
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tsmesh-netns-'));
  must(['chmod', '755', folder]);
  createNamespaces();
  const capture = { excludeInboundPorts: [], excludeOutboundPorts: [], excludeOutboundCidrs: [] };
  const environment = { TSMESH_CAPTURE: JSON.stringify(capture) };
  expect(run(inside(pod, [process.execPath, program('init/main.ts')]), environment).status).toBe(0);
  children.push(await startAnswering(pod, ['app:8080']));
  children.push(await startAnswering(peer, ['peer:3306']));
  await startSidecar();
}, 60_000);

afterAll(async () => {
  await Promise.all(children.splice(0).map(stop));
  removeNamespaces();
  rmSync(folder, { recursive: true, force: true });
});

describe('a sidecar on two cores behind the capture rules', () => {
  it.each([
    ['inbound', addresses.pod4],
    ['inbound', addresses.pod6],
    ['outbound', addresses.peer4],
    ['outbound', addresses.peer6],
  ] as const)(
    'carries %s connections to %s, whichever thread takes them',
    (direction, address) => {
      const before = carried(direction);
      const answers = Array.from({ length: many }, () =>
        direction === 'inbound' ? call(peer, address, 8080) : call(pod, address, 3306),
      );
      expect(new Set(answers)).toEqual(
        new Set([direction === 'inbound' ? 'app 8080' : 'peer 3306']),
      );
      expect(carried(direction) - before).toBe(many);
    },
    60_000,
  );
});

/** Connections of either thread so far. */
function carried(direction: string): number {
  const script = 'fetch("http://127.0.0.1:15020/metrics").then((r) => r.text()).then(console.log)';
  const metrics = must(inside(pod, [process.execPath, '-e', script]));
  return metric(metrics, 'tsmesh_tcp_connections_total', `direction="${direction}"`);
}
