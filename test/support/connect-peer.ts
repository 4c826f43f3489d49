// A program that connectconformance takes for the client or the server under test: it runs the suite's
// own and leads what they send through sidecars.
//   node connect-peer.ts client|server WAY PROGRAM FOLDER
// At its end it writes what the sidecars carried to a file in the folder.
// Messages: https://github.com/connectrpc/conformance, server_compat.proto and client_compat.proto.

import { spawn, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openWay, type Carried, type Entry, type WayToApp } from './paths-to-app.ts';
import { delimited, DelimitedReader, readFields, varintField } from './protobuf-fields.ts';

/** ServerCompatResponse.port, ClientCompatRequest.port. */
const portField = { server: 2, client: 7 } as const;

/** Opens one way for each port of an app. */
class Ways {
  private readonly way: WayToApp;
  private readonly open = new Map<number, Promise<Entry>>();

  constructor(way: WayToApp) {
    this.way = way;
  }

  /** The same message with the port of the way in place of the app's. */
  async redirect(message: Buffer, number: number): Promise<Buffer> {
    const fields = readFields(message);
    const port = fields.find((field) => field.number === number)?.value ?? 0;
    const others = fields.filter((field) => field.number !== number).map(({ bytes }) => bytes);
    const entry = await this.entryTo(port);
    return Buffer.concat([...others, varintField(number, entry.port)]);
  }

  /** What each carried. */
  async close(): Promise<Carried[]> {
    const entries = await Promise.all(this.open.values());
    for (const entry of entries) entry.close();
    return entries.map((entry) => entry.carried());
  }

  private entryTo(port: number): Promise<Entry> {
    const known = this.open.get(port) ?? openWay(this.way, port);
    this.open.set(port, known);
    return known;
  }
}

/** Hands each message on with another port, in order. */
async function passRedirected(
  from: NodeJS.ReadableStream,
  to: NodeJS.WritableStream,
  redirect: (message: Buffer) => Promise<Buffer>,
): Promise<void> {
  const reader = new DelimitedReader();
  for await (const chunk of from) {
    for (const message of reader.push(chunk as Buffer))
      to.write(delimited(await redirect(message)));
  }
}

function lead(role: string, child: ChildProcess, ways: Ways): Promise<void> {
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('no pipes to the program');
  if (role === 'server') {
    process.stdin.pipe(stdin);
    return passRedirected(stdout, process.stdout, (one) => ways.redirect(one, portField.server));
  }
  stdout.pipe(process.stdout);
  return passRedirected(process.stdin, stdin, (one) => ways.redirect(one, portField.client)).then(
    () => void stdin.end(),
  );
}

const [role = '', way = '', program = '', folder = ''] = process.argv.slice(2);
const ways = new Ways(way as WayToApp);
const child = spawn(program, [], { stdio: ['pipe', 'pipe', 'inherit'] });
child.on('error', (error) => {
  console.error(`${program}: ${error.message}`);
  process.exitCode = 1;
});
child.on('exit', (code) => {
  process.exitCode = code ?? 0;
  process.stdin.destroy();
  void ways.close().then((carried) => {
    writeFileSync(join(folder, `${process.pid}.json`), JSON.stringify(carried));
  });
});
process.on('SIGTERM', () => child.kill('SIGTERM'));
try {
  await lead(role, child, ways);
} catch (error) {
  // The program's end closes the pipes under it; its exit code tells the runner.
  if (child.exitCode === null && child.signalCode === null) throw error;
}
