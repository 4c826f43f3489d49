// One more reader for the differential test, no proxy: Node's own HTTP server in its lenient mode, which takes much
// that others refuse, as careless apps do. It records what it read.

import { createServer } from 'node:http';
import { newRecords, recorderOn, type Recorded, type Recorder } from './differential-recorder.ts';

export async function startLenientNode(): Promise<Recorder> {
  const records = newRecords();
  const server = createServer(
    { insecureHTTPParser: true, keepAliveTimeout: 0 },
    (request, response) => {
      const { method = '', url = '' } = request;
      const host = request.headers.host ?? '';
      const recorded: Recorded = { method, target: url, host, body: '', complete: false };
      const id = /case-\d{4}/.exec(`${url} ${request.rawHeaders.join(' ')}`)?.[0];
      records.add(recorded, id ?? null);
      request.setEncoding('latin1');
      request.on('error', () => undefined);
      request.on('data', (chunk: string) => (recorded.body += chunk));
      request.on('end', () => {
        recorded.complete = true;
        response.end('ok');
      });
    },
  );
  return recorderOn(server, records, () => server.closeAllConnections());
}
