// Before a pair is measured: does it do what its configuration claims? Mutual TLS 1.3 on its mesh ports,
// refused without a certificate, and the app's own bytes at its entry.
import { readFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { alpn } from '../../../proxy/api/constants.ts';
import { answerBytes } from './apps.ts';
import { portsOf, type Target } from './harness.ts';
import { serverName, type Lane } from './plan.ts';

/** Throws with what is not as claimed. */
export async function verifyPair(target: Target): Promise<void> {
  for (const [lane] of target.plan.lanes) {
    if (lane === 'get') await verifyAnswer(target);
    if (target.peer === null) continue;
    const proven = await handshake(target, lane, { certificate: true });
    if (proven.refused !== null) throw new Error(`${target.name}: TLS refused: ${proven.refused}`);
    if (proven.protocol !== 'TLSv1.3') throw new Error(`${target.name}: ${proven.protocol}`);
    const bare = await handshake(target, lane, { certificate: false });
    if (bare.refused === null) throw new Error(`${target.name}: taken without a certificate`);
    await verifyNoPlaintext(target, lane);
  }
}

async function verifyAnswer(target: Target): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${target.port('get')}/check?a=1`);
  const body = await answer.text();
  if (answer.status !== 200 || body.length !== answerBytes || !body.startsWith('abcdef')) {
    throw new Error(`${target.name}: answered ${answer.status} with ${body.length} bytes`);
  }
}

export interface Handshake {
  /** In words; null: both sides were content. */
  readonly refused: string | null;
  readonly protocol: string | null;
  readonly cipher: string;
  /** The group of the key exchange that the server chose. */
  readonly group: string;
}

/** One handshake with the server side's mesh port, as the client side would make it. */
export function handshake(
  target: Target,
  lane: Lane,
  { certificate, groups }: { readonly certificate: boolean; readonly groups?: string },
): Promise<Handshake> {
  const { client } = target.plan.identities;
  const own = { cert: readFileSync(client.chain), key: readFileSync(client.key) };
  const socket = connect({
    port: portsOf(target.plan, lane).mesh,
    host: '127.0.0.1',
    servername: serverName,
    ca: readFileSync(client.roots),
    minVersion: 'TLSv1.3',
    ALPNProtocols: alpnOf(target, lane),
    ...(groups === undefined ? {} : { ecdhCurve: groups }),
    ...(certificate ? own : {}),
    // tsmesh's certificate names the SPIFFE id that the sidecar checks; the harness checks the chain.
    checkServerIdentity: () => undefined,
  });
  return outcome(socket, certificate);
}

/** What this pair's client side offers. */
export function alpnOf({ name }: Target, lane: Lane): string[] {
  if (name.startsWith('tsmesh')) return [lane === 'tcp' ? alpn.tcp : alpn.http];
  if (lane === 'tcp') return [];
  return name === 'envoy-h2' || lane === 'grpc' ? ['h2'] : ['http/1.1'];
}

/** In TLS 1.3 the client is done before its certificate is judged: what follows tells. */
function outcome(socket: TLSSocket, certificate: boolean): Promise<Handshake> {
  return new Promise((resolve) => {
    let made = { protocol: null as string | null, cipher: '', group: '' };
    const finish = (refused: string | null): void => {
      clearTimeout(quiet);
      socket.destroy();
      resolve({ refused, ...made });
    };
    let quiet: NodeJS.Timeout | undefined;
    socket.once('secureConnect', () => {
      const key = socket.getEphemeralKeyInfo() as { name?: string };
      made = {
        protocol: socket.getProtocol(),
        cipher: socket.getCipher().name,
        group: key.name ?? '',
      };
      quiet = setTimeout(() => finish(null), 150);
    });
    socket.once('error', (error) => finish(error.message));
    socket.once('close', () => finish('closed'));
    // nginx takes the connection and refuses the request on it.
    socket.on('data', (chunk: Buffer) => {
      if (chunk.toString('latin1').startsWith('HTTP/1.1 400')) finish('answered 400');
    });
    if (certificate) return;
    socket.once('secureConnect', () => {
      socket.write('GET / HTTP/1.1\r\nhost: server.bench\r\nconnection: close\r\n\r\n');
    });
  });
}

function verifyNoPlaintext(target: Target, lane: Lane): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp(portsOf(target.plan, lane).mesh, '127.0.0.1');
    let text = '';
    socket.setTimeout(2000, () => socket.destroy());
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      const word = text.startsWith('HTTP/1.1 200');
      if (word) reject(new Error(`${target.name}: answered in plaintext`));
      else resolve();
    });
    socket.end('GET / HTTP/1.1\r\nhost: server.bench\r\nconnection: close\r\n\r\n');
  });
}
