// No key comes out of a sidecar: everything that it says of itself, to whoever may ask, is gathered and
// searched for the private key in all the forms it could have.

import { createPrivateKey } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from '@jest/globals';
import { startSidecar } from '../../proxy/app.ts';
import { systemClock } from '../../proxy/net/clock.ts';
import { createLogger } from '../../proxy/telemetry/logger.ts';
import {
  issue,
  newAuthority,
  newIdentityDirectory,
  trustDomain,
  until,
} from '../support/identity-files.ts';
import { destination, endpoints, loopback, workload } from '../support/sidecar.ts';
import { startSidecarProcess } from '../support/sidecar-process.ts';
import { startTestOperator } from '../support/test-operator.ts';

const authority = newAuthority();
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

/** PEM, its base64 a line at a time, and the scalar as hexadecimal, base64 and base64url. */
function formsOf(keyPem: string): string[] {
  const body = keyPem.split('\n').filter((line) => line.length > 20 && !line.startsWith('--'));
  const { d } = createPrivateKey(keyPem).export({ format: 'jwk' }) as { d: string };
  const scalar = Buffer.from(d, 'base64url');
  // Not the first line: it holds the algorithm's name, which every key of this kind begins with.
  const lines = body.slice(1);
  return ['PRIVATE KEY-----\n', ...lines, d, scalar.toString('base64'), scalar.toString('hex')];
}

function leaks(where: string, content: string, keyPem: string): string[] {
  return formsOf(keyPem)
    .filter((form) => content.includes(form))
    .map((form) => `${where}: ${form.slice(0, 12)}…`);
}

function raw(socketPath: string, path: string, method: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path, method, agent: false }, (response) => {
      text(response).then(resolve, reject);
    })
      .on('error', reject)
      .end();
  });
}

/** What paths of the admin socket need to be told, or else last long. */
const queries: Readonly<Record<string, string>> = {
  '/profile/cpu': '?seconds=0.2',
  '/profile/allocations': '?seconds=0.2',
  '/log-level': '?level=debug',
  '/tap': '?seconds=1',
};

describe('the private key of a sidecar', () => {
  it('is found by this test where it does stand', () => {
    const { keyPem } = issue(authority, { serviceAccount: 'test' });
    expect(leaks('the file', keyPem, keyPem).length).toBeGreaterThan(2);
  });

  it('is in no answer of the admin socket, no metric, no log line and no profile', async () => {
    const identity = newIdentityDirectory();
    ends.push(() => identity.remove());
    const first = issue(authority, { serviceAccount: 'test' });
    const second = issue(authority, { serviceAccount: 'test' });
    identity.replace(first);
    const one = await startSidecarProcess({
      resources: [workload()],
      inbound: [{ listen: `${loopback}:0`, destination: `${loopback}:9` }],
      identity: identity.path,
      logLevel: 'debug',
    });
    ends.push(() => one.stop());
    // A renewal, and files that are wrong: both are told of.
    identity.replace(second);
    await until(() =>
      JSON.stringify(one.logged).toLowerCase().includes(second.serial.toLowerCase()),
    );
    identity.replace({ ...first, chainPem: second.chainPem });
    await until(() => one.logged.some(({ level }) => level === 'error' || level === 'warn'));
    const socketPath = one.adminPath;
    expect(statSync(socketPath).mode & 0o777).toBe(0o600);
    const { paths } = JSON.parse(await raw(socketPath, '/', 'GET')) as { paths: string[] };
    const found: string[] = [];
    for (const entry of paths) {
      const [method, path] = entry.split(' ') as [string, string];
      const content = await raw(socketPath, `${path}${queries[path] ?? ''}`, method);
      for (const { keyPem } of [first, second]) found.push(...leaks(entry, content, keyPem));
    }
    expect(paths.length).toBeGreaterThan(8);
    for (const path of ['/metrics', '/ready']) {
      const { body } = await one.health(path);
      for (const { keyPem } of [first, second]) found.push(...leaks(path, body, keyPem));
    }
    const log = one.logged.map((line) => JSON.stringify(line)).join('\n') + one.errors();
    for (const { keyPem } of [first, second]) found.push(...leaks('log', log, keyPem));
    expect(found).toEqual([]);
  }, 30_000);

  it('is not in the files that the sidecar writes for its next start', async () => {
    const identity = newIdentityDirectory();
    ends.push(() => identity.remove());
    const leaf = issue(authority, { serviceAccount: 'test' });
    identity.replace(leaf);
    const directory = mkdtempSync(join(tmpdir(), 'tsmesh-keys-'));
    ends.push(() => rmSync(directory, { recursive: true, force: true }));
    const operatorOf = { namespace: 'tsmesh-system', serviceAccount: 'tsmesh-operator' };
    const operator = await startTestOperator({ identity: issue(authority, operatorOf), port: 0 });
    ends.push(() => operator.close());
    const listen = { host: loopback, port: 0, destination: null };
    const sidecar = await startSidecar(
      {
        source: {
          type: 'operator',
          addresses: [`${loopback}:${operator.port}`],
          pod: { namespace: 'shop', name: 'test-1', uid: 'u1', ips: [loopback] },
          stateDirectory: directory,
        },
        expectedIdentity: { trustDomain, namespace: 'shop', serviceAccount: 'test' },
        identityDirectory: identity.path,
        outbound: [{ ...listen, destination: { address: '10.96.0.7', port: 80 } }],
        inbound: [{ ...listen, destination: { address: loopback, port: 9 } }],
        health: listen,
        adminPath: join(directory, 'admin.sock'),
        logLevel: 'debug',
        gracePeriodMs: 2000,
        hookToken: null,
        probes: [],
        concurrency: 1,
      },
      {
        clock: systemClock,
        logger: createLogger({ level: 'debug', wallTimeMs: () => 0, write: () => undefined }),
        accessLogOutput: { write: () => true, once: () => undefined },
        random: () => 0,
        afterTurn: (run) => void setImmediate(run),
        processFacts: () => ({ memory: { rss: 1, heapUsed: 1 }, cpuSeconds: 1, logDropped: 0 }),
        originalDestination: () => null,
      },
    );
    await until(() => operator.streams.length === 1);
    operator.push('n1', [workload(), destination(), endpoints([], null)]);
    await operator.acknowledged('n1');
    await sidecar.end('test over');
    const files = readdirSync(directory, { recursive: true, withFileTypes: true });
    const written = files.filter((file) => file.isFile());
    expect(written.length).toBeGreaterThan(0);
    const found = written.flatMap((file) => {
      const path = join(file.parentPath, file.name);
      return leaks(path, readFileSync(path, 'latin1'), leaf.keyPem);
    });
    expect(found).toEqual([]);
  });
});
