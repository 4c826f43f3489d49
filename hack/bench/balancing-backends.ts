// The backends of the live comparison, in a process of its own: HTTP servers that work on a few requests at a time and let
// others wait. What each does comes as a message; the answer is their ports.
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { seeded } from './balancing-model.ts';

export interface Behaviour {
  workers: number;
  meanMs: number;
  /** Before the answer, without a worker. */
  delayMs: number;
  /** Answers 503 at once. */
  fails: boolean;
  /** The first answers take up to ten times as long. */
  cold: boolean;
}

const random = seeded(20_261_123);

/** Log-normal, as in the model. */
function workMs(meanMs: number): number {
  const sigma = 0.8;
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return meanMs * Math.exp(sigma * normal - (sigma * sigma) / 2);
}

class Backend {
  behaviour: Behaviour | null = null;
  private busy = 0;
  private served = 0;
  private waiting: http.ServerResponse[] = [];

  reset(behaviour: Behaviour): void {
    this.behaviour = behaviour;
    this.served = 0;
  }

  take(response: http.ServerResponse): void {
    const { fails, delayMs, workers } = this.behaviour!;
    if (fails) response.writeHead(503).end();
    else if (delayMs > 0) setTimeout(() => this.queue(response, workers), delayMs);
    else this.queue(response, workers);
  }

  private queue(response: http.ServerResponse, workers: number): void {
    if (this.busy < workers) this.work(response);
    else this.waiting.push(response);
  }

  private work(response: http.ServerResponse): void {
    const { meanMs, cold } = this.behaviour!;
    this.busy += 1;
    const slower = cold ? 1 + 9 * Math.exp(-this.served / 100) : 1;
    this.served += 1;
    setTimeout(
      () => {
        this.busy -= 1;
        response.end('ok');
        const next = this.waiting.shift();
        if (next !== undefined) this.work(next);
      },
      workMs(meanMs * slower),
    );
  }
}

const backends: Backend[] = [];

async function start(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const backend = new Backend();
    backends.push(backend);
    const server = http.createServer((request, response) => {
      request.resume();
      backend.take(response);
    });
    server.keepAliveTimeout = 60_000;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ports.push((server.address() as AddressInfo).port);
  }
  return ports;
}

process.on('message', (message: { start: number } | { behave: Behaviour[] }) => {
  if ('start' in message) {
    void start(message.start).then((ports) => process.send?.({ ports }));
    return;
  }
  for (const [index, behaviour] of message.behave.entries()) backends[index]!.reset(behaviour);
  process.send?.({ ports: [] });
});
// Ends with whoever started it.
process.on('disconnect', () => process.exit());
