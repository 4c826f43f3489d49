// One program with many roles: the demo's shop, the servers and the clients of the cluster tests.
// It knows nothing of the mesh: what it says of callers, it read from ordinary headers.
import { parseArgs } from 'node:util';
import { grpcCall, httpCall, tcpCall, watch } from './client.ts';
import { serveGrpc } from './grpc-server.ts';
import { serveHttp } from './http-server.ts';
import { holdGrpc, holdTcp } from './hold.ts';
import { askAtTheEdge, askWhatCameTwice, startHastyApp } from './hasty.ts';
import { load } from './load.ts';
import { openLoad } from './open-load.ts';
import { endLoads } from './end-loads.ts';
import { record } from './record.ts';
import { runJob, serveCart, serveWeb } from './shop.ts';
import { touch } from './touch.ts';
import { serveTcp } from './tcp-server.ts';
import { whoAmI } from './who.ts';

const usage = `usage: app ROLE [options]
servers: echo (HTTP 8080, gRPC 9090, TCP that greets 7000, TCP that waits 7001)
         hasty PORT=MS,… (closes idle connections)
         web, cart, quote, bank (the shop; ports 8080, 8080, 9090, 7000)
clients: http URL, grpc HOST:PORT METHOD TEXT, tcp HOST:PORT, load URL, open-load URL, watch URL, job, idle,
         hold-tcp HOST:PORT, hold-grpc HOST:PORT, end-loads (of this container), record URL, touch ADDRESS,…,
         at-edge URL NAME (of a hasty app; --idle MS)`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    method: { type: 'string', default: 'GET' },
    header: { type: 'string', multiple: true, default: [] },
    body: { type: 'string', default: '' },
    send: { type: 'string', default: '' },
    timeout: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '0' },
    requests: { type: 'string', default: '0' },
    concurrency: { type: 'string', default: '4' },
    rate: { type: 'string', default: '0' },
    idle: { type: 'string', default: '0' },
    grace: { type: 'boolean', default: false },
    stay: { type: 'boolean', default: false },
    close: { type: 'boolean', default: false },
  },
});

const who = whoAmI(process.env);
const print = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`);
};

/** Like most apps without care: gone at SIGTERM, unless asked to finish what it has begun, or not to care at all. */
function exitOnTerm(close: () => Promise<void>): void {
  if (options.stay) return void process.on('SIGTERM', () => undefined);
  process.once('SIGTERM', () => {
    if (!options.grace) process.exit(0);
    void close().then(() => process.exit(0));
  });
}

async function serveRole(role: string): Promise<void> {
  switch (role) {
    case 'echo': {
      const closers = [serveHttp(who, 8080), serveGrpc(who, 9090)];
      serveTcp(who, { port: 7000, greets: true });
      serveTcp(who, { port: 7001, greets: false });
      return exitOnTerm(async () => void (await Promise.all(closers.map((close) => close()))));
    }
    case 'hasty':
      for (const one of (positionals[1] ?? '').split(',')) {
        const [port = '', idleMs = ''] = one.split('=');
        await startHastyApp(Number(idleMs), { host: '0.0.0.0', port: Number(port) });
      }
      return exitOnTerm(() => Promise.resolve());
    case 'web':
      return exitOnTerm(serveWeb(who, 8080));
    case 'cart':
      return exitOnTerm(serveCart(who, 8080));
    case 'quote':
      return exitOnTerm(serveGrpc(who, 9090));
    case 'bank':
      return exitOnTerm(serveTcp(who, { port: 7000, greets: true }));
    case 'idle':
      setInterval(() => undefined, 1 << 30);
      return exitOnTerm(() => Promise.resolve());
    default:
      return runClient(role);
  }
}

async function runClient(role: string): Promise<void> {
  const target = positionals[1] ?? '';
  const timeoutMs = Number(options.timeout);
  switch (role) {
    case 'http': {
      const { method, header, body } = options;
      return print(await httpCall({ url: target, method, header, body, timeoutMs }));
    }
    case 'grpc': {
      const [, , method = 'Unary', text = ''] = positionals;
      return print(await grpcCall(target, { method, text, timeoutMs }));
    }
    case 'tcp':
      return print(await tcpCall(target, options.send, timeoutMs));
    case 'load':
      return print(
        await load(target, {
          seconds: Number(options.seconds),
          requests: Number(options.requests),
          concurrency: Number(options.concurrency),
          rate: Number(options.rate),
          header: options.header,
          close: options.close,
        }),
      );
    case 'record':
      return record(target, Number(options.rate), print);
    case 'touch':
      return print({ opened: await touch(target.split(',')) });
    case 'open-load': {
      const [rate, seconds] = [Number(options.rate), Number(options.seconds)];
      return print(await openLoad(target, { rate, seconds, timeoutMs }));
    }
    case 'at-edge': {
      const round = { origin: target, name: positionals[2] ?? '', idleMs: Number(options.idle) };
      const count = Number(options.requests);
      const statuses = await askAtTheEdge({ ...round, method: options.method, count });
      return print({ statuses, twice: await askWhatCameTwice(round) });
    }
    case 'end-loads':
      return print({ ended: endLoads(process.pid) });
    case 'hold-tcp':
      return print(await holdTcp(target, Number(options.seconds)));
    case 'hold-grpc':
      return print(await holdGrpc(target, Number(options.seconds)));
    case 'watch':
      return await watch(target, print);
    case 'job':
      return print(await runJob());
    default:
      process.stderr.write(`${usage}\n`);
      process.exitCode = 2;
  }
}

await serveRole(positionals[0] ?? '');
