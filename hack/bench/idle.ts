// What an idle connection costs a sidecar in private memory: kept HTTP/1.1 connections of apps, opaque tunnels,
// kept connections of callers without a sidecar.

import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { startProcessPair, type ProcessPair } from '../../test/support/process-pair.ts';
import { bundle } from '../images/bundle.ts';
import { repository } from '../lib/paths.ts';
import { memoryOf, row } from './process-figures.ts';

const counts = [1_000, 10_000];

interface Kind {
  name: string;
  /** Where clients connect to, and what they say once. */
  port(pair: ProcessPair): number;
  say: string;
  sides: readonly ('caller' | 'callee')[];
}

const get = 'GET / HTTP/1.1\r\nhost: app.shop\r\n\r\n';
const kinds: Kind[] = [
  {
    name: 'HTTP/1.1 of an app, kept after one request',
    port: ({ entry }) => entry['http']!,
    say: get,
    sides: ['caller'],
  },
  {
    name: 'HTTP/1.1 of a caller without a sidecar, kept after one request',
    port: ({ inbound }) => inbound['http']!,
    say: get,
    sides: ['callee'],
  },
  {
    name: 'opaque TCP tunnel, a TLS connection in it',
    port: ({ entry }) => entry['tcp']!,
    say: 'hello',
    sides: ['caller', 'callee'],
  },
];

async function listening(server: Server): Promise<AddressInfo> {
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
  await once(server, 'listening');
  return server.address() as AddressInfo;
}

/** All have had their answer. */
async function open(port: number, count: number, say: string): Promise<Socket[]> {
  const sockets: Socket[] = [];
  const atATime = 50;
  while (sockets.length < count) {
    const batch = Array.from({ length: Math.min(atATime, count - sockets.length) }, async () => {
      const socket = connect(port, '127.0.0.1');
      await once(socket, 'connect');
      socket.write(say);
      await once(socket, 'data');
      return socket;
    });
    sockets.push(...(await Promise.all(batch)));
  }
  return sockets;
}

/** Idle connections to the app end after 3 s; the heap is collected some time after. */
const settleMs = 12_000;

/** What each connection costs that says nothing, by what it is. */
export async function benchIdle(): Promise<string[]> {
  await bundle('proxy/main.ts', 'proxy');
  const heads = [
    'connection',
    'sidecar',
    'count',
    'private each',
    'RSS MB',
    'private MB',
    'heap MB',
  ];
  const rows = [row(...heads), row(...heads.map(() => '---'))];
  for (const count of counts) for (const kind of kinds) rows.push(...(await measure(kind, count)));
  return rows;
}

async function measure(kind: Kind, count: number): Promise<string[]> {
  const rows: string[] = [];
  const http = createHttpServer((_request, response) => void response.end('ok'));
  http.keepAliveTimeout = 3_600_000;
  const tcp = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  const program = join(repository, 'dist/proxy/main.mjs');
  const apps = [
    { name: 'http', protocol: 'auto' as const, address: await listening(http) },
    { name: 'tcp', protocol: 'tcp' as const, address: await listening(tcp) },
  ];
  const pair = await startProcessPair({ apps, mtls: 'PERMISSIVE', program });
  // What the first connections cost once is no part of the rest.
  const warm = await open(kind.port(pair), 100, kind.say);
  await settled();
  const before = figures(pair);
  const sockets = await open(kind.port(pair), count, kind.say);
  await settled();
  const after = figures(pair);
  for (const side of kind.sides) {
    const each = (mb: number): string => `${((mb * 1024) / count).toFixed(1)} KB`;
    const heap = 'nodejs_heap_size_used_bytes';
    const heapMb = (await pair[side].metric(heap)) / 2 ** 20;
    const { privateMb, rssMb } = after[side];
    const grown = each(privateMb - before[side].privateMb);
    rows.push(row(kind.name, side, String(count), grown, rssMb, privateMb, heapMb));
  }
  for (const socket of [...sockets, ...warm]) socket.destroy();
  await pair.close();
  http.close();
  tcp.close();
  return rows;
}

function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, settleMs));
}

function figures(pair: ProcessPair) {
  return { caller: memoryOf(pair.caller.pid), callee: memoryOf(pair.callee.pid) };
}
