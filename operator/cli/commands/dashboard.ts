// `tsmesh dashboard`: the operator's page in one's own browser, through a port-forward for each connection, so
// that it goes on when another replica leads. Ends when it is interrupted.

import net, { type AddressInfo, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import type { UserClient } from '../../kube/user-client.ts';
import { errorText } from '../../resources/logger.ts';
import {
  clusterOptions,
  optionHelp,
  readArguments,
  commonOptions,
  type OptionTable,
} from '../arguments.ts';
import type { Command } from '../command.ts';
import { leaderConsole } from '../console.ts';
import { CliError, exitCodes } from '../errors.ts';
import { connect } from '../live.ts';
import type { World } from '../world.ts';

const { kubeconfig, context } = clusterOptions;
const { 'no-color': noColor, help } = commonOptions;
const options = {
  port: { type: 'string', value: 'PORT', help: 'of this machine; any that is free by default' },
  'no-browser': { type: 'boolean', help: 'print the address only' },
  kubeconfig,
  context,
  'no-color': noColor,
  help,
} as const satisfies OptionTable;

export const dashboard: Command = {
  name: 'dashboard',
  summary: 'who calls whom, live, as a page in your browser',
  options,
  help: (program) => [
    `${program} dashboard [--port PORT] [--no-browser]`,
    '',
    'Opens the page of the operator that leads, through port-forwards to its pod: whoever may do that may see it (ClusterRole',
    'tsmesh-console). The address is of this machine only. Ctrl-C ends it.',
    '',
    ...optionHelp(options),
    '',
    'Exit codes: 2 bad input, 4 the cluster or the operator cannot be reached, or a right is missing.',
  ],
  async run(args, world) {
    const values = readArguments(args, options);
    const port = readPort(values.port ?? '0');
    const client = connect(values, world);
    try {
      await leaderConsole(client);
      const server = await listen(client, port, world);
      const url = `http://localhost:${(server.address() as AddressInfo).port}/`;
      world.out(`the dashboard is at ${url} until Ctrl-C`);
      if (values['no-browser'] !== true) world.showPage(url);
      await new Promise((resolve) => server.on('close', resolve));
      return exitCodes.ok;
    } finally {
      client.close();
    }
  },
};

function readPort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
  if (port <= 65_535) return port;
  throw new CliError('Usage', `port: ${text} is no port`);
}

function listen(client: UserClient, port: number, world: World): Promise<net.Server> {
  const server = net.createServer((socket) => void forward(client, socket, world));
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(new CliError('Usage', `port ${port} of this machine: ${errorText(error)}`)),
    );
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

/** A page that cannot be brought says so itself; here it is said why. */
async function forward(client: UserClient, socket: Socket, world: World): Promise<void> {
  socket.on('error', () => undefined);
  try {
    const stream = await client.forward(await leaderConsole(client));
    await Promise.all([pipeline(socket, stream), pipeline(stream, socket)]);
  } catch (error) {
    if (!isGone(error)) world.err(errorText(error));
    socket.destroy();
  }
}

/** A browser ends connections as it likes. */
function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'ERR_STREAM_PREMATURE_CLOSE';
}
