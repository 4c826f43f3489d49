// One more reader for the differential test, no proxy: Node's own HTTP server in its lenient mode, which takes much
// that others refuse, as careless apps do. It records what it read.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import type { Recorded, Recorder } from './differential-recorder.ts';

export async function startLenientNode(): Promise<Recorder> {
  const byCase = new Map<string, Recorded[]>();
  const strays: Recorded[] = [];
  const server = createServer(
    { insecureHTTPParser: true, keepAliveTimeout: 0 },
    (request, response) => {
      const { method = '', url = '' } = request;
      const host = request.headers.host ?? '';
      const recorded: Recorded = { method, target: url, host, body: '', complete: false };
      const id = /case-\d{4}/.exec(`${url} ${request.rawHeaders.join(' ')}`)?.[0];
      if (id === undefined) strays.push(recorded);
      else byCase.set(id, [...(byCase.get(id) ?? []), recorded]);
      request.setEncoding('latin1');
      request.on('error', () => undefined);
      request.on('data', (chunk: string) => (recorded.body += chunk));
      request.on('end', () => {
        recorded.complete = true;
        response.end('ok');
      });
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    of: (id) => byCase.get(id) ?? [],
    strays,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
