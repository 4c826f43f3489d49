import http from 'node:http';
import { afterEach, describe, expect, it } from '@jest/globals';
import { GraphObserver } from '../telemetry/graph.ts';
import { createConsoleServer, type ConsoleServer } from './server.ts';

let server: ConsoleServer | null = null;
let leading = true;

afterEach(async () => {
  leading = true;
  await server?.close();
  server = null;
});

async function start(): Promise<number> {
  server = createConsoleServer({
    identity: () => ({ replica: 'operator-1', version: '1.2.3', leading }),
    sidecars: () => [],
    holdings: () => [],
    graph: () => new GraphObserver(0),
    policies: () => [],
    wallTimeMs: () => 7,
    nowMs: () => 0,
  });
  return await server.listen(0);
}

interface Asked {
  path?: string;
  method?: string;
  headers?: Record<string, string>;
}

function ask(port: number, asked: Asked = {}): Promise<{ status: number; body: string }> {
  const { path = '/api/sidecars', method = 'GET', headers = {} } = asked;
  return new Promise((resolve, reject) => {
    const options = { port, host: '127.0.0.1', path, method, headers };
    http
      .request(options, (response) => {
        let body = '';
        response.on('data', (chunk) => (body += chunk));
        response.on('end', () => resolve({ status: response.statusCode!, body }));
      })
      .on('error', reject)
      .end();
  });
}

describe('the console', () => {
  it('says what the leader knows', async () => {
    const port = await start();
    const operator = { replica: 'operator-1', version: '1.2.3', leading: true };
    const { status, body } = await ask(port, { headers: { host: `localhost:${port}` } });
    expect(status).toBe(200);
    expect(JSON.parse(body)).toEqual({ operator, atMs: 7, sidecars: [] });
    const self = await ask(port, { path: '/api/operator' });
    expect(JSON.parse(self.body)).toEqual(operator);
  });

  it('does not speak for all where it does not lead', async () => {
    leading = false;
    const { status, body } = await ask(await start());
    expect(status).toBe(409);
    expect(body).toContain('operator-1 does not lead');
  });

  it.each([
    ['a name that was made to resolve to it', { host: 'evil.example:15030' }],
    ['a page of another origin', { host: 'localhost:15030', origin: 'https://evil.example' }],
    ['a page of another port', { host: 'localhost:15030', origin: 'http://localhost:8000' }],
  ])('answers nothing to %s', async (_who, headers) => {
    const { status, body } = await ask(await start(), { headers });
    expect(status).toBe(403);
    expect(body).not.toContain('sidecars');
  });

  it('changes nothing, and knows no other paths', async () => {
    const port = await start();
    expect((await ask(port, { method: 'POST' })).status).toBe(405);
    expect((await ask(port, { path: '/metrics' })).status).toBe(404);
  });
});
