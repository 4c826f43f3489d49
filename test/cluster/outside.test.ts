// What leaves the mesh, on a cluster: passed as it is and counted by the host that the app claims, or refused with that
// host in words where the Mesh says RegistryOnly. It changes the Mesh, so it runs alone.
import { createServer as createHttpServer } from 'node:http';
import { createServer as createTlsServer } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { waitFor } from '../../hack/lib/wait.ts';
import { echo, http } from '../support/calls.ts';
import { issue, newAuthority } from '../support/identity-files.ts';
import { kubectl } from '../support/kubectl.ts';
import { metric, metricsOf } from '../support/metrics.ts';
import { createNamespace, deleteNamespace, deployEcho, podsOf } from '../support/namespaces.ts';
import { outsidePlace, type OutsidePlace } from '../support/outside-place.ts';
import { programmed } from '../support/policies.ts';

const namespace = 't-outside';
const client = { namespace, app: 'client' };
let plain: OutsidePlace;
let secure: OutsidePlace;
const serverNames: string[] = [];

async function policy(outboundPolicy: 'AllowAny' | 'RegistryOnly'): Promise<void> {
  const patch = JSON.stringify({ spec: { outboundPolicy } });
  await kubectl('patch', 'mesh', 'default', '--type=merge', '-p', patch);
  await programmed('Mesh', '', 'default');
}

/** What a TLS client in the pod hears when it asks for this name: the greeting, or the code of its error. */
async function askTls(servername: string): Promise<string> {
  const options = {
    host: secure.address,
    port: secure.port,
    servername,
    rejectUnauthorized: false,
  };
  const script = `
    const socket = require('node:tls').connect(${JSON.stringify(options)});
    socket.on('data', (bytes) => process.stdout.write(bytes));
    socket.on('error', (error) => process.stdout.write(error.code));`;
  const [pod] = await podsOf(namespace, 'app=client');
  return await kubectl('exec', '-n', namespace, pod!.name, '-c', 'app', '--', 'node', '-e', script);
}

function askHttp(host: string) {
  return http(client, `http://${plain.address}:${plain.port}/`, '--header', `Host: ${host}`);
}

async function counted(name: string, ...labels: string[]): Promise<number> {
  return metric(await metricsOf(client, client), `tsmesh_outside_${name}_total`, ...labels);
}

describe('what leaves the mesh', () => {
  beforeAll(async () => {
    const { keyPem: key, chainPem: cert } = issue(newAuthority(), { serviceAccount: 'outside' });
    const tlsServer = createTlsServer({ key, cert }, (socket) => {
      serverNames.push(String(socket.servername));
      socket.on('error', () => undefined);
      socket.end('from outside');
    });
    const httpServer = createHttpServer((_request, response) => response.end('from outside'));
    [plain, secure] = await Promise.all([outsidePlace(httpServer), outsidePlace(tlsServer)]);
    await createNamespace(namespace, true);
    await Promise.all([
      deployEcho(namespace, { name: 'client' }),
      deployEcho(namespace, { name: 'server' }),
    ]);
  }, 240_000);
  afterAll(async () => {
    await policy('AllowAny');
    plain.close();
    secure.close();
    await deleteNamespace(namespace);
  }, 240_000);

  it('passes under AllowAny, TLS counted by its server name, HTTP by its Host', async () => {
    expect((await askHttp('shop.example')).body).toBe('from outside');
    expect(await askTls('api.example.com')).toBe('from outside');
    expect(serverNames).toEqual(['api.example.com']);
    await waitFor('both to be counted', 20_000, async () => {
      const text = await metricsOf(client, client);
      const of = (host: string, by: string): number =>
        metric(text, 'tsmesh_outside_received_bytes_total', `host="${host}"`, `by="${by}"`);
      return of('shop.example', 'host') > 0 && of('api.example.com', 'sni') > 0;
    });
    expect(await counted('connections', `port="${secure.port}"`, 'by="sni"')).toBe(1);
  }, 60_000);

  it('is refused under RegistryOnly, in words that name the host, and Services are reached', async () => {
    await policy('RegistryOnly');
    const refused = await askHttp('shop.example');
    expect(refused.status).toBe(502);
    expect(refused.headers['tsmesh-denied-by']).toBe('Mesh default; reason=registry-only');
    expect(refused.body).toContain(
      `${plain.address}:${plain.port}, called shop.example by its Host`,
    );
    expect(await askTls('api.example.com')).toBe('ECONNRESET');
    expect(serverNames).toEqual(['api.example.com']);
    expect(await counted('refused', 'host="api.example.com"', 'by="sni"')).toBe(1);
    const [pod] = await podsOf(namespace, 'app=client');
    const log = await kubectl('logs', '-n', namespace, pod!.name, '-c', 'tsmesh-proxy');
    expect(log).toContain('called api.example.com by its TLS server name');
    expect(await echo(client, 'http://server/')).toMatchObject({ service: 'server' });
  }, 90_000);

  it('passes again once the Mesh lets it', async () => {
    await policy('AllowAny');
    expect(await askTls('api.example.com')).toBe('from outside');
  }, 60_000);
});
