// The plain TCP test server: either greets at once (as SMTP and MySQL do) or waits for the client;
// then answers each line with `<pod> <line>`.
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import type { Who } from './who.ts';

export function serveTcp(
  who: Who,
  options: { port: number; greets: boolean },
): () => Promise<void> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    if (options.greets) socket.write(`220 ${who.service} ${who.pod} ready\r\n`);
    createInterface({ input: socket })
      .on('line', (line) => socket.write(`${who.pod} ${line}\r\n`))
      // readline passes the socket's errors on; a probe that breaks off is no reason to end.
      .on('error', () => undefined)
      .on('close', () => socket.end());
  });
  server.listen(options.port);
  return () => new Promise((resolve) => server.close(() => resolve()));
}
