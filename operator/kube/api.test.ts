import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../runtime/test-clock.ts';
import { createApiClient } from './api.ts';
import { MemoryTransport, answer, refusal } from './test-transport.ts';

function client() {
  const transport = new MemoryTransport();
  const clock = new ManualClock();
  return { transport, clock, api: createApiClient({ transport, clock, random: () => 0 }) };
}

describe('the API client', () => {
  it('names objects and collections as the API does', async () => {
    const { transport, api } = client();
    transport.scripted.push(answer({}), answer({}), answer({}), answer({}), answer({}));
    await api.get('Pod', 'shop', 'cart');
    await api.get('Mesh', '', 'default');
    await api.create('Event', { metadata: { namespace: 'shop', name: 'e' } });
    const status = {
      kind: 'TrafficPolicy',
      namespace: 'shop',
      name: 'c',
      subresource: 'status',
    } as const;
    await api.patch(status, { status: {} });
    await api.delete('EndpointSlice', 'shop', 's');
    expect(transport.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'GET /api/v1/namespaces/shop/pods/cart',
      'GET /apis/tsmesh.dev/v1alpha1/meshes/default',
      'POST /apis/events.k8s.io/v1/namespaces/shop/events',
      'PATCH /apis/tsmesh.dev/v1alpha1/namespaces/shop/trafficpolicies/c/status',
      'DELETE /apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/s',
    ]);
    expect(transport.requests[2]?.body).toMatchObject({
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
    });
    expect(transport.requests[3]?.contentType).toBe('application/merge-patch+json');
  });

  it.each([
    [404, 'NotFound', 'NotFound'],
    [409, 'AlreadyExists', 'AlreadyExists'],
    [409, 'Conflict', 'Conflict'],
    [403, 'Forbidden', 'Forbidden'],
    [422, 'Invalid', 'Invalid'],
    [418, 'Teapot', 'Other'],
  ])('tells status %d %s as %s, with the words of the server', async (status, reason, code) => {
    const { transport, api } = client();
    transport.scripted.push(refusal(status, reason));
    const attempt = api.create('Secret', { metadata: { namespace: 'a', name: 'b' } });
    await expect(attempt).rejects.toMatchObject({ code, status, message: `it was ${reason}` });
    expect(transport.requests).toHaveLength(1);
  });

  it('answers null for what is not there, and takes a deletion of it for done', async () => {
    const { transport, api } = client();
    transport.scripted.push(refusal(404, 'NotFound'), refusal(404, 'NotFound'));
    expect(await api.get('Secret', 'a', 'b')).toBeNull();
    await expect(api.delete('Secret', 'a', 'b')).resolves.toBeUndefined();
  });

  it('tries again without an answer and when told to come back, as late as told', async () => {
    const { transport, clock, api } = client();
    const startMs = clock.nowMs();
    transport.scripted.push(new Error('ECONNRESET'), refusal(429, 'TooManyRequests', 1_000));
    transport.scripted.push(answer({ metadata: { name: 'b' } }));
    const got = api.get('Secret', 'a', 'b').then((object) => ({ object, atMs: clock.nowMs() }));
    await clock.advance(10_000);
    const { object, atMs } = await got;
    expect(object?.metadata.name).toBe('b');
    expect(atMs - startMs).toBeGreaterThanOrEqual(1_050);
    expect(atMs - startMs).toBeLessThan(2_000);
  });

  it('gives up as Unavailable in a time that an admission request can wait', async () => {
    const { transport, clock, api } = client();
    transport.scripted.push(...Array.from({ length: 50 }, () => new Error('ECONNREFUSED')));
    const startMs = clock.nowMs();
    const ended = api
      .get('Secret', 'a', 'b')
      .catch((error: unknown) => ({ error, atMs: clock.nowMs() }));
    await clock.advance(20_000);
    const { error, atMs } = (await ended) as { error: unknown; atMs: number };
    expect(error).toMatchObject({ code: 'Unavailable' });
    expect(atMs - startMs).toBeLessThan(5_000);
  });

  it('does not wait when told to come back much later', async () => {
    const { transport, api } = client();
    transport.scripted.push(refusal(503, 'ServiceUnavailable', 60_000));
    await expect(api.list('Pod', '')).rejects.toMatchObject({ code: 'Unavailable', status: 503 });
  });

  it('reads a collection page by page', async () => {
    const { transport, api } = client();
    transport.pageSize = 2;
    for (const name of ['a', 'b', 'c']) transport.put(name);
    const pods = await api.list('Pod', 'shop', 'app=cart');
    expect(pods.map((pod) => pod.metadata.name)).toEqual(['a', 'b', 'c']);
    expect(transport.requests.every(({ path }) => path.includes('labelSelector=app%3Dcart'))).toBe(
      true,
    );
  });
});
