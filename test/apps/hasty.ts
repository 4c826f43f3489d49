// An app that closes idle connections after a time, without a word before, and clients that ask for about as long apart:
// what the tests of keep-alive races ask, with every answer and every arrival counted.
import { Agent, request as httpRequest } from 'node:http';
import net, { type AddressInfo, type Socket } from 'node:net';

export interface HastyApp {
  address: AddressInfo;
  /** How often each request arrived, by its path. */
  arrivals: Map<string, number>;
  connections: number;
  close(): void;
}

const twicePath = '/twice';

/** `GET /twice/NAME` says which paths below `/NAME/` arrived more than once; everything else is answered `ok`. */
export async function startHastyApp(
  idleMs: number,
  { host, port }: { host: string; port: number },
): Promise<HastyApp> {
  const app: HastyApp = { address: null!, arrivals: new Map(), connections: 0, close };
  const sockets = new Set<Socket>();
  const server = net.createServer((socket) => {
    app.connections += 1;
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('close', () => void sockets.delete(socket));
    let text = '';
    let idle: NodeJS.Timeout | undefined;
    socket.on('data', (bytes) => {
      clearTimeout(idle);
      text += bytes.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      if (end < 0 || (text.startsWith('POST') && text.length < end + 4 + body.length)) return;
      const path = text.split(' ', 2)[1]!;
      text = '';
      const answer = answerTo(app, path);
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${answer.length}\r\n\r\n${answer}`);
      idle = setTimeout(() => socket.destroy(), idleMs);
    });
  });
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  app.address = server.address() as AddressInfo;
  return app;

  function close(): void {
    server.close();
    for (const socket of sockets) socket.destroy();
  }
}

function answerTo(app: HastyApp, path: string): string {
  if (path.startsWith(`${twicePath}/`))
    return JSON.stringify(arrivedTwice(app, path.slice(twicePath.length + 1)));
  app.arrivals.set(path, (app.arrivals.get(path) ?? 0) + 1);
  return 'ok';
}

export function arrivedTwice({ arrivals }: HastyApp, name: string): string[] {
  return [...arrivals]
    .filter(([path, count]) => path.startsWith(`/${name}/`) && count > 1)
    .map(([path]) => path);
}

export interface Round {
  /** `http://host:port`. */
  origin: string;
  method: string;
  idleMs: number;
  count: number;
  /** Names its requests. */
  name: string;
  /** Absent: 20. */
  clients?: number;
}

const body = 'body';

/** Clients that wait between their requests for about as long as the server does; how often each status came, 0 for none. */
export async function askAtTheEdge(round: Round) {
  const { origin, method, idleMs, count, name, clients = 20 } = round;
  const statuses: Record<string, number> = {};
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < count) {
      const url = `${origin}/${name}/${next}`;
      next += 1;
      const { status } = await ask(url, { method, agent });
      statuses[status] = (statuses[status] ?? 0) + 1;
      const pauseMs = idleMs * (0.7 + 0.6 * Math.random());
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  agent.destroy();
  return statuses;
}

/** What the app says that came to it more than once. */
export async function askWhatCameTwice({ origin, name }: Pick<Round, 'origin' | 'name'>) {
  const { text } = await ask(`${origin}${twicePath}/${name}`, { method: 'GET' });
  return JSON.parse(text) as string[];
}

export function ask(
  url: string,
  { method, agent }: { method: string; agent?: Agent },
): Promise<{ status: number; text: string }> {
  return new Promise((resolve) => {
    const request = httpRequest(url, { method, ...(agent === undefined ? {} : { agent }) });
    request.on('response', (response) => {
      let text = '';
      response.on('data', (bytes: Buffer) => (text += bytes.toString()));
      response.on('error', (error) => resolve({ status: 0, text: error.message }));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    request.on('error', (error) => resolve({ status: 0, text: error.message }));
    request.end(method === 'POST' ? body : undefined);
  });
}
