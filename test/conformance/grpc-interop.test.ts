// The interoperability suite of gRPC: the client and the server of grpc-go, through two sidecars with
// mutual TLS and through each alone in plaintext. Every case that needs no cloud's credentials.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { run } from '../../hack/lib/command.ts';
import { freePort } from '../../hack/lib/free-ports.ts';
import { ensureGoProgram } from '../../hack/tools/peers.ts';
import { loopback } from '../support/sidecar.ts';
import { openWay, waysToApp, type Entry } from '../support/paths-to-app.ts';

/** Of grpc-go 1.75.0; the rest needs accounts of a cloud, or fails without sidecars (docs/conformance.md). */
const cases = [
  'empty_unary',
  'large_unary',
  'client_streaming',
  'server_streaming',
  'ping_pong',
  'empty_stream',
  'timeout_on_sleeping_server',
  'cancel_after_begin',
  'cancel_after_first_response',
  'status_code_and_message',
  'special_status_message',
  'custom_metadata',
  'unimplemented_method',
  'unimplemented_service',
  'orca_per_rpc',
  'orca_oob',
  'rpc_soak',
  'channel_soak',
] as const;

/** The reports of these reach the client through a balancer that is to be chosen. */
const orcaBalancer = JSON.stringify({
  loadBalancingConfig: [{ test_backend_metrics_load_balancer: {} }],
});
const soak = ['-soak_iterations', '20', '-soak_num_threads', '4'];

let client: string;
let server: ChildProcess;
let port: number;

beforeAll(async () => {
  client = await ensureGoProgram('grpcInteropClient');
  port = await freePort();
  server = spawn(await ensureGoProgram('grpcInteropServer'), ['-port', String(port)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await answers(port);
}, 300_000);

afterAll(async () => {
  const ended = once(server, 'exit');
  server.kill();
  await ended;
});

const unsent: ReadonlySet<string> = new Set(['timeout_on_sleeping_server', 'cancel_after_begin']);

async function answers(at: number): Promise<void> {
  for (let tries = 0; tries < 500; tries += 1) {
    const socket = connect(at, loopback);
    const open = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'close').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`the interop server does not listen on ${at}`);
}

describe.each(waysToApp)('gRPC interop, sidecars between: %s', (way) => {
  let entry: Entry;
  beforeAll(async () => {
    entry = await openWay(way, port);
  });
  afterAll(() => entry.close());

  it.each(cases)('passes %s', async (name) => {
    const before = { ...entry.carried() };
    const args = ['-server_host', loopback, '-server_port', String(entry.port), ...soak];
    if (name.startsWith('orca')) args.push('-service_config_json', orcaBalancer);
    const { code, stdout, stderr } = await run(client, [...args, '-test_case', name], {
      timeoutMs: 50_000,
    });
    expect(code === 0 ? '' : stdout + stderr).toBe('');
    const { requests, mtlsRequests } = entry.carried();
    // A deadline of 1 ms may pass, and a call be cancelled, before anything is sent.
    const least = unsent.has(name) ? 0 : 1;
    expect(requests - before.requests).toBeGreaterThanOrEqual(least);
    const overMtls = mtlsRequests - before.mtlsRequests;
    if (way === 'two') expect(overMtls).toBeGreaterThanOrEqual(least);
    else expect(overMtls).toBe(0);
  });
});
