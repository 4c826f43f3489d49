// From an annotation to encrypted traffic: what a new user sees first.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { captured } from '../support/capture.ts';
import { echo, grpc, tcp } from '../support/calls.ts';
import { createNamespace, deleteNamespace, deployEcho, podsOf } from '../support/namespaces.ts';
import { getJson } from '../support/kubectl.ts';

const meshed = 't-traffic';
const outside = 't-traffic-outside';
const client = { namespace: meshed, app: 'client' };

interface PodView {
  metadata: { labels: Record<string, string> };
  spec: { initContainers?: { name: string; restartPolicy?: string }[] };
}

describe('a namespace that is only annotated', () => {
  beforeAll(async () => {
    await Promise.all([createNamespace(meshed, true), createNamespace(outside, false)]);
    await Promise.all([
      deployEcho(meshed, { name: 'client' }),
      deployEcho(meshed, { name: 'server' }),
      deployEcho(meshed, { name: 'typed', appProtocols: { http: 'http', grpc: 'grpc' } }),
      deployEcho(outside, { name: 'client' }),
      deployEcho(outside, { name: 'plain' }),
    ]);
  }, 240_000);
  afterAll(() => Promise.all([deleteNamespace(meshed), deleteNamespace(outside)]), 240_000);

  it('gets the init container and a native sidecar in every new pod', async () => {
    const [pod] = await podsOf(meshed, 'app=server');
    const view = await getJson<PodView>('pod', pod?.name ?? '', '-n', meshed);
    const added = view.spec.initContainers?.map(({ name, restartPolicy }) => [name, restartPolicy]);
    expect(added).toEqual([
      ['tsmesh-init', undefined],
      ['tsmesh-proxy', 'Always'],
    ]);
  });

  it('leaves the pods of other namespaces alone', async () => {
    const [pod] = await podsOf(outside, 'app=plain');
    const view = await getJson<PodView>('pod', pod?.name ?? '', '-n', outside);
    expect(view.spec.initContainers).toBeUndefined();
  });

  it.each(['server', 'typed'])('carries HTTP/1.1 to %s with the caller identity', async (name) => {
    const answer = await echo(client, `http://${name}/hello?x=1`, '--header', 'X-Test: one');
    expect(answer).toMatchObject({ service: name, method: 'GET', path: '/hello?x=1' });
    expect(answer.caller).toBe(`spiffe://cluster.local/ns/${meshed}/sa/client`);
  });

  it.each(['server', 'typed'])('carries gRPC to %s, unary and streaming', async (name) => {
    const unary = await grpc(client, `${name}:9090`, 'Unary', 'hello');
    expect(unary).toMatchObject({ grpcStatus: '0' });
    expect(JSON.parse(unary.messages[0] ?? '{}')).toMatchObject({
      text: 'hello',
      caller: `spiffe://cluster.local/ns/${meshed}/sa/client`,
    });
    const stream = await grpc(client, `${name}:9090`, 'ServerStream', 'hello');
    expect(stream.messages).toHaveLength(5);
    const failure = await grpc(client, `${name}:9090`, 'Fail', 'hello');
    expect(failure).toMatchObject({ grpcStatus: '9', grpcMessage: 'asked to fail' });
  });

  it('carries TCP whose server speaks first, and TCP whose client does', async () => {
    const [pod] = await podsOf(meshed, 'app=server');
    const greeted = await tcp(client, 'server:7000', '--send', 'abc');
    expect(greeted).toEqual({ received: `220 server ${pod?.name} ready\r\n${pod?.name} abc\r\n` });
    const asked = await tcp(client, 'server:7001', '--send', '!abc');
    expect(asked).toEqual({ received: `${pod?.name} abc\r\n` });
  });

  it('carries a request to a pod by its own address', async () => {
    const [pod] = await podsOf(meshed, 'app=server');
    const answer = await echo(client, `http://${pod?.ip}:8080/`);
    expect(answer.caller).toBe(`spiffe://cluster.local/ns/${meshed}/sa/client`);
  });

  it('reaches services outside the mesh, and is reached from there while PERMISSIVE', async () => {
    const out = await echo(client, `http://plain.${outside}/`);
    expect(out).toMatchObject({ service: 'plain', caller: null });
    const back = await echo({ namespace: outside, app: 'client' }, `http://server.${meshed}/`);
    expect(back).toMatchObject({ service: 'server', caller: null });
  });

  it('puts no plaintext of meshed traffic on the network', async () => {
    const header = 'x-marker: MESHED-HTTP-SECRET';
    const bytes = await captured(async () => {
      await echo(client, 'http://server/', '--header', header);
      await grpc(client, 'server:9090', 'Unary', 'MESHED-GRPC-SECRET');
      await tcp(client, 'server:7000', '--send', 'MESHED-TCP-SECRET');
      // The control: the same capture does see what is not encrypted.
      await echo(client, `http://plain.${outside}/`, '--header', 'x-marker: PLAIN-CONTROL');
    });
    const seen = ['PLAIN-CONTROL', 'MESHED-HTTP', 'MESHED-GRPC', 'MESHED-TCP'].filter((marker) =>
      bytes.includes(marker),
    );
    expect(seen).toEqual(['PLAIN-CONTROL']);
  });
});
