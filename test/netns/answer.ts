// Runs inside a network namespace: listens on ports and answers every connection with one line that says
// who took it and where it wanted to go. Arguments: `label:port` …; a label that ends in `!` reads the
// original destination by the sidecar's own reader, one that ends in `~` holds the connection in silence.

import { createServer } from 'node:net';
import { createOriginalDestinationReader } from '../../proxy/net/original-destination.ts';

const read = createOriginalDestinationReader();
const args = process.argv.slice(2);
await Promise.all(
  args.map((arg) => {
    const [label, port] = arg.split(':') as [string, string];
    const server = createServer((socket) => {
      socket.on('error', () => {});
      if (label.endsWith('~')) return;
      const original = label.endsWith('!') ? read(socket) : null;
      const where = original === null ? '' : ` ${original.address} ${original.port}`;
      socket.end(`${label} ${port}${where}\n`);
    });
    return new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: '::', port: Number(port) }, resolve);
    });
  }),
);
console.log('listening');
