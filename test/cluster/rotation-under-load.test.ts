// Workload certificates that are renewed again and again while requests, connections and streams pass: none fails, and
// what is long-lived goes on.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { hold } from '../support/calls.ts';
import { keepLoading } from '../support/keep-loading.ts';
import { createNamespace, deleteNamespace, deployEcho } from '../support/namespaces.ts';
import { sizeOf } from '../support/samples.ts';
import { inUse, renew } from '../support/workload-certificate.ts';

const namespace = 't-rotation-load';
const client = { namespace, app: 'client' };
const server = { namespace, app: 'server' };
const minuteMs = 60_000;

describe('renewals of workload certificates under load', () => {
  beforeAll(async () => {
    await createNamespace(namespace, true);
    await Promise.all([
      deployEcho(namespace, { name: 'client' }),
      deployEcho(namespace, { name: 'server' }),
    ]);
  }, 240_000);
  afterAll(() => deleteNamespace(namespace), 240_000);

  it(
    'fail no request, no connection and no stream, however long it lives',
    async () => {
      const rounds = sizeOf('certificateRenewals');
      const seconds = sizeOf('heldStreamMinutes') * 60;
      const started = Date.now();
      const held = Promise.all([
        hold(client, 'tcp', 'server:7001', seconds),
        hold(client, 'grpc', 'server:9090', seconds),
      ]);
      held.catch(() => undefined);
      const loads = [
        keepLoading(client, 'http://server/healthz', 100),
        keepLoading(client, 'tcp://server:7001', 20),
        keepLoading(client, 'grpc://server:9090', 20),
      ];
      const serials = new Set<string>();
      const inUseAfter: number[] = [];
      try {
        for (let round = 0; round < rounds; round += 1) {
          // Both sides in turn: connections are opened by one and accepted by the other.
          const app = round % 2 === 0 ? server : client;
          const next = await renew(app);
          serials.add(next.serialNumber);
          await inUse(client, app, next);
          inUseAfter.push(Date.now() - started);
        }
      } finally {
        const results = await Promise.all(loads.map((load) => load.end()));
        expect(results.map(({ errors }) => errors)).toEqual([[], [], []]);
        for (const { requests } of results) expect(requests).toBeGreaterThan(100);
      }
      expect(serials.size).toBe(rounds);
      // At least one renewal fell into the life of both.
      expect(inUseAfter[0]).toBeLessThan(seconds * 1000);
      const [tcp, grpc] = await held;
      expect(tcp).toMatchObject({ answered: tcp.sent });
      expect(grpc).toMatchObject({ answered: grpc.sent, grpcStatus: '0' });
      for (const { error, heldSeconds, sent } of [tcp, grpc]) {
        expect(error).toBeUndefined();
        expect(heldSeconds).toBeGreaterThanOrEqual(seconds);
        expect(sent).toBeGreaterThan(seconds * 0.9);
      }
    },
    sizeOf('heldStreamMinutes') * minuteMs + sizeOf('certificateRenewals') * 2 * minuteMs,
  );
});
