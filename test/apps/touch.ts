// Opens a connection to port 80 of each address and lets it go: whoever stands in between gets to know them.
import { connect } from 'node:net';

/** At most so many at once. */
const atOnce = 16;

/** How many accepted. */
export async function touch(addresses: readonly string[]): Promise<number> {
  const left = [...addresses];
  let opened = 0;
  const worker = async (): Promise<void> => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      if (await touchOne(next)) opened += 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return opened;
}

/** What is not known yet is asked for while the connection is open. */
function touchOne(host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port: 80 });
    const end = (opened: boolean) => (): void => {
      socket.destroy();
      resolve(opened);
    };
    socket.on('connect', () => setTimeout(end(true), 50));
    socket.on('error', end(false));
  });
}
