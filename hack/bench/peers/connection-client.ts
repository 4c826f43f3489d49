// A program of its own: holds idle connections, or makes new ones as fast as it can.
//   connection-client.ts hold PORT COUNT      one GET on each, then prints `held` and keeps them until it is ended
//   connection-client.ts connect PORT SECONDS plain TCP: one byte there and back, close; prints {"connections"}
//   connection-client.ts handshake PORT SECONDS GROUP ALPN CHAIN KEY ROOTS   the same inside mutual TLS
import { readFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext } from 'node:tls';

const [mode = '', portText = '', amount = '', ...rest] = process.argv.slice(2);
const port = Number(portText);
const host = '127.0.0.1';
/** Connections that are being made at one time. */
const atOnce = mode === 'hold' ? 64 : 8;

function fail(problem: string): never {
  console.error(problem);
  process.exit(1);
}

function holdAll(count: number): void {
  let opened = 0;
  let answered = 0;
  const open = (): void => {
    if (opened === count) return;
    opened += 1;
    const socket = connectTcp(port, host);
    const path = `/idle/${opened}`;
    socket.write(`GET ${path} HTTP/1.1\r\nhost: server.bench\r\n\r\n`);
    let text = '';
    socket.on('error', (error) => fail(`connection ${opened}: ${error.message}`));
    socket.on('close', () => fail('a held connection was closed'));
    socket.on('data', (data: Buffer) => {
      text += data.toString('latin1');
      const body = text.indexOf('\r\n\r\n') + 4;
      if (body < 4 || text.length < body + 1024) return;
      if (!text.startsWith('HTTP/1.1 200')) fail(`answered ${text.slice(0, 80)}`);
      text = '';
      answered += 1;
      if (answered === count) console.log('held');
      open();
    });
  };
  for (let i = 0; i < atOnce; i++) open();
}

function tlsConnect(): () => Socket {
  const [group = '', protocol = '', chain = '', key = '', roots = ''] = rest;
  // One context for all: reading the files is not part of a handshake. No session is kept: each is whole.
  const secureContext = createSecureContext({
    cert: readFileSync(chain),
    key: readFileSync(key),
    ca: readFileSync(roots),
    minVersion: 'TLSv1.3',
    ecdhCurve: group,
  });
  const ALPNProtocols = protocol === '' ? [] : [protocol];
  return () =>
    connectTls({
      port,
      host,
      secureContext,
      ecdhCurve: group,
      ALPNProtocols,
      servername: 'server.bench',
      checkServerIdentity: () => undefined,
    });
}

function makeMany(seconds: number, make: () => Socket): void {
  const end = performance.now() + seconds * 1000;
  let connections = 0;
  let open = 0;
  const next = (): void => {
    if (performance.now() >= end) {
      if (open === 0) console.log(JSON.stringify({ connections }));
      return;
    }
    open += 1;
    const socket = make();
    let answered = false;
    socket.write('p');
    socket.on('error', (error) => fail(error.message));
    // The answer of the app behind: the proxy has judged the certificate by then.
    socket.on('data', () => {
      answered = true;
      connections += 1;
      socket.destroy();
    });
    socket.on('close', () => {
      if (!answered) fail('closed without an answer');
      open -= 1;
      next();
    });
  };
  for (let i = 0; i < atOnce; i++) next();
}

if (mode === 'hold') holdAll(Number(amount));
else if (mode === 'connect') makeMany(Number(amount), () => connectTcp(port, host));
else makeMany(Number(amount), tlsConnect());
