// A sidecar, as a process, whose certificate ended while no operator renewed it: it says so, and goes on
// from the files of the Secret alone, without a restart and without an operator.

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { waitFor } from '../../hack/lib/wait.ts';
import {
  issue,
  newAuthority,
  newIdentityDirectory,
  type IdentityDirectory,
} from '../support/identity-files.ts';
import { workload } from '../support/sidecar.ts';
import { startSidecarProcess, type SidecarProcess } from '../support/sidecar-process.ts';

const hour = 3_600_000;
const own = { serviceAccount: 'test' };
/** Older than what is issued here with a life that is over. */
const authority = newAuthority(Date.now() - 2 * hour);
let identity: IdentityDirectory;
let sidecar: SidecarProcess | null;

beforeEach(() => {
  identity = newIdentityDirectory();
  sidecar = null;
});

afterEach(async () => {
  await sidecar?.stop();
  identity.remove();
});

/** Ends so many milliseconds from now. */
function ending(inMs: number) {
  return issue(authority, { ...own, nowMs: Date.now() - hour + inMs, lifetimeMs: hour });
}

async function start(concurrency: number): Promise<SidecarProcess> {
  const inbound = [{ listen: '127.0.0.1:0', destination: '127.0.0.1:9' }];
  const content = { resources: [workload()], identity: identity.path, inbound, concurrency };
  sidecar = await startSidecarProcess(content);
  return sidecar;
}

async function notReady(words: string): Promise<void> {
  await waitFor(`not ready: ${words}`, 15_000, async () => {
    const { status, body } = await sidecar!.health('/ready');
    return status === 503 && body.includes(words);
  });
}

async function isReady(): Promise<void> {
  await waitFor('ready', 15_000, async () => (await sidecar!.health('/ready')).status === 200);
}

async function serialInForce(): Promise<unknown> {
  const view = (await sidecar!.admin('/identity')) as Record<string, unknown>;
  return view['serial'];
}

describe.each([1, 2])('a sidecar on %i cores', (concurrency) => {
  it('whose certificate ends while it runs is not ready, and takes up the next one from the Secret', async () => {
    identity.replace(ending(3000));
    await start(concurrency);
    await isReady();
    await notReady('the certificate expired at');
    const next = issue(authority, own);
    identity.replace(next);
    await isReady();
    expect(await serialInForce()).toBe(next.serial);
    expect(sidecar!.child.exitCode).toBeNull();
  }, 40_000);

  it('that starts with a certificate that has ended waits for the next one', async () => {
    identity.replace(ending(-1000));
    await start(concurrency);
    await notReady('tls.crt expired at');
    const next = issue(authority, own);
    identity.replace(next);
    await isReady();
    expect(await serialInForce()).toBe(next.serial);
  }, 40_000);
});
