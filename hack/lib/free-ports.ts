// Ports for programs that must be told theirs beforehand. A port that was free may be taken before it is used:
// whoever can, listens on port 0 instead.
import { createServer } from 'node:net';

/**
 * Ports that nobody listens on now, below the range that the kernel gives to outgoing connections
 * (32768 and up): there any connection made meanwhile could take one.
 */
export async function freePorts(count: number): Promise<number[]> {
  const found: number[] = [];
  let port = 12_000 + Math.floor(Math.random() * 15_000);
  while (found.length < count) {
    port += 1;
    if (port > 32_000) throw new Error(`no ${count} free ports below 32000`);
    if (await isFree(port)) found.push(port);
  }
  return found;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port!;
}
