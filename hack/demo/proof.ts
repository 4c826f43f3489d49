// What the demo shows: requests through the mesh, that nobody on the network can read them, that
// STRICT refuses strangers, and a split of traffic.
import { once } from 'node:events';
import { join } from 'node:path';
import { repository } from '../lib/paths.ts';
import type { Kubectl } from '../lib/kubectl.ts';
import { waitFor } from '../lib/wait.ts';
import { call, OUTSIDE, SHOP } from './shop.ts';
import type { Target } from './target.ts';

export const SPLIT_REQUESTS = 500;
const MARKER = 'tsmesh-demo-secret';
const web = { namespace: SHOP, deployment: 'web' };
const caller = { namespace: OUTSIDE, deployment: 'caller' };

/** A page of the shop, which asked all other services; with the identities that the callees saw. */
export async function showRequests({ kubectl }: Target): Promise<void> {
  const page = await call(kubectl, web, ['http', 'http://web/']);
  heading('a page of the shop: web asked cart (HTTP/1.1), quote (gRPC) and bank (TCP)');
  console.log(JSON.stringify(JSON.parse(String(page['body'])), null, 2));
  if (page['status'] !== 200)
    throw new Error(`the shop answered with status ${String(page['status'])}`);
}

/** Captures the node's network during requests with a marker, outside the mesh and inside. */
export async function proveEncryption(target: Target): Promise<void> {
  const { spawnOnNode, kubectl } = target;
  heading('on the network between the pods');
  if (spawnOnNode === undefined) {
    console.log('the node of this cluster cannot be reached from here: nothing was captured');
    return;
  }
  const url = `http://cart/items?${MARKER}`;
  const ask = (from: typeof web) => async (): Promise<void> => {
    const answer = await call(kubectl, from, ['http', url, '--header', `x-secret: ${MARKER}`]);
    if (answer['status'] !== 200) throw new Error(`${url}: ${JSON.stringify(answer)}`);
  };
  const outside = await capture(spawnOnNode, ask(caller));
  const inside = await capture(spawnOnNode, ask(web));
  const found = (bytes: string) => bytes.split(MARKER).length - 1;
  console.log(
    `outside the mesh: ${outside.length} bytes captured, the secret is in them ${found(outside)} times`,
  );
  console.log(
    `in the mesh:      ${inside.length} bytes captured, the secret is in them ${found(inside)} times`,
  );
  if (found(outside) === 0)
    throw new Error('the capture without the mesh shows no plaintext: it proves nothing');
  if (found(inside) > 0) throw new Error('a request in the mesh was readable on the network');
}

/** A caller without a sidecar is let in, and refused in words as soon as the mesh is STRICT. */
export async function showStrict({ kubectl }: Target): Promise<void> {
  heading(
    'a caller without a sidecar, before and after kubectl apply of a STRICT PeerAuthentication',
  );
  const ask = () => call(kubectl, caller, ['http', `http://cart.${SHOP}/items`]);
  const show = (words: string, { status, body }: Record<string, unknown>) =>
    console.log(`${words}: ${String(status)} ${String(body).trim()}`);
  show('before', await ask());
  await apply(kubectl, 'peerauthentication/strict', 'peer-authentication-namespace.yaml');
  const refused = await ask();
  show('after ', refused);
  if (refused['status'] === 200)
    throw new Error('a caller without a sidecar was let in under STRICT');
}

/** 90 to 10 between two versions, from the moment that the policy is Programmed. */
export async function showSplit({ kubectl }: Target): Promise<void> {
  heading(`a TrafficPolicy with 90 % for cart v1 and 10 % for cart v2; ${SPLIT_REQUESTS} requests`);
  await apply(kubectl, 'trafficpolicy/cart', 'traffic-policy-canary.yaml');
  const load = [
    'load',
    'http://cart/items',
    '--requests',
    String(SPLIT_REQUESTS),
    '--concurrency',
    '4',
  ];
  const result = await call(kubectl, web, load);
  console.log(JSON.stringify({ byVersion: result['byVersion'], failed: result['failed'] }));
  if (Number(result['failed']) > 0) throw new Error(`requests failed: ${JSON.stringify(result)}`);
}

const statusRows = ['mesh.default', `namespace.${SHOP}`];

/** What each row has heard of so far; requests are reported every few seconds. */
export function requestsReported({ kubectl }: Target): Promise<number[]> {
  const path = 'jsonpath={.status.requests}';
  const options = ['--ignore-not-found', '-o', path];
  const ofRow = async (name: string): Promise<number> =>
    Number(await kubectl(['get', 'meshstatus', name, ...options]));
  return Promise.all(statusRows.map(ofRow));
}

/** The table, as soon as each row counts at least this many requests more than before. */
export async function showStatus(
  target: Target,
  before: readonly number[],
  requests: number,
): Promise<void> {
  heading('kubectl get meshstatus');
  await waitFor(`${requests} requests in MeshStatus`, 60_000, async () => {
    const now = await requestsReported(target);
    return now.every((count, row) => count >= before[row]! + requests);
  });
  console.log(await target.kubectl(['get', 'meshstatus']));
}

async function apply(kubectl: Kubectl, object: string, sample: string): Promise<void> {
  await kubectl(['apply', '-f', join(repository, 'config/samples', sample)]);
  const wait = ['wait', '--for=condition=Programmed', object, '--timeout=60s'];
  await kubectl(['-n', SHOP, ...wait]);
}

/** Every TCP byte on the node while the action runs, as latin1 text. */
async function capture(
  spawnOnNode: NonNullable<Target['spawnOnNode']>,
  action: () => Promise<void>,
): Promise<string> {
  // Without immediate mode, what the kernel still holds back is lost at the end.
  const flags = '--immediate-mode -i any -s 0 -U -w -'.split(' ');
  const filter = 'tcp and not port 6443 and not port 10250';
  const child = spawnOnNode(['tcpdump', ...flags, filter]);
  const chunks: Buffer[] = [];
  let words = '';
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => (words += chunk.toString()));
  child.on('error', (error) => (words += error.message));
  const closed = once(child, 'close');
  try {
    await waitFor('tcpdump', 20_000, () => {
      if (child.exitCode !== null) throw new Error(words);
      return words.includes('listening on');
    });
    await action();
  } finally {
    child.kill('SIGINT');
    await closed;
  }
  return Buffer.concat(chunks).toString('latin1');
}

function heading(words: string): void {
  console.log(`\n── ${words}`);
}
