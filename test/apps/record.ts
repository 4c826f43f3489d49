// Asks at a steady rate and prints, for each answer, when it was asked (Unix time in milliseconds), the status and the
// version that answered: what is decided when, for those who change it meanwhile.
import { Agent, request } from 'node:http';

const timeoutMs = 10_000;
const sockets = 8;

export type Recorded = [askedAtMs: number, status: number, version: string];

/** Until the process is ended. */
export function record(url: string, rate: number, print: (answer: Recorded) => void): void {
  const agent = new Agent({ keepAlive: true, maxSockets: sockets });
  setInterval(() => askOnce(url, agent, print), 1000 / rate);
}

function askOnce(url: string, agent: Agent, print: (answer: Recorded) => void): void {
  // A request that waits in the agent for a socket has not begun: its time is taken with its socket.
  let askedAtMs = 0;
  const tell = (status: number, version = ''): void => print([askedAtMs, status, version]);
  const asked = request(url, { agent, timeout: timeoutMs }, (response) => {
    let body = '';
    response.setEncoding('utf8');
    response.on('data', (text: string) => (body += text));
    response.on('error', () => undefined);
    response.on('end', () => tell(response.statusCode ?? 0, versionIn(body)));
  });
  asked.on('socket', () => (askedAtMs = performance.timeOrigin + performance.now()));
  asked.on('timeout', () => asked.destroy(new Error('no answer in time')));
  asked.on('error', () => tell(0));
  asked.end();
}

function versionIn(body: string): string {
  return /"version":"([^"]*)"/.exec(body)?.[1] ?? '';
}
