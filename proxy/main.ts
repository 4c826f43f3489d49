// The sidecar's program: the only place that reads the environment, takes signals and ends the process.
//   node main.ts                     the sidecar
//   node main.ts admin [GET] /config  asks the sidecar of this pod (kubectl exec)
// In a worker thread of the sidecar (`concurrency`) it is the worker.

import { readFileSync } from 'node:fs';
import { environment } from './api/bootstrap.ts';
import { paths, ports } from './api/constants.ts';
import type { AppDeps } from './app-core.ts';
import { startSidecar } from './app.ts';
import { configFromEnvironment, configFromFile, type Config } from './config.ts';
import { systemClock } from './net/clock.ts';
import { createOriginalDestinationReader } from './net/original-destination.ts';
import { LogOutput } from './telemetry/log-output.ts';
import { createLogger, type Logger } from './telemetry/logger.ts';
import { createWorker } from './workers/worker.ts';

function readConfig(): Config {
  const path = process.env[environment.configFile];
  if (path === undefined) return configFromEnvironment(process.env);
  return configFromFile(readFileSync(path, 'utf8'), path);
}

/** One for all: what is lost is lost of the process. */
const output = new LogOutput(process.stdout);

function newLogger(level: Config['logLevel']): Logger {
  return createLogger({
    level,
    wallTimeMs: () => systemClock.wallTimeMs(),
    write: (line) => output.write(line),
  });
}

function appDeps(logger: Logger): AppDeps {
  return {
    clock: systemClock,
    logger,
    accessLogOutput: process.stdout,
    random: Math.random,
    afterTurn: (run) => void setImmediate(run),
    processFacts() {
      const { user, system } = process.cpuUsage();
      const cpuSeconds = (user + system) / 1e6;
      return { memory: process.memoryUsage(), cpuSeconds, logDropped: output.dropped };
    },
    originalDestination: createOriginalDestinationReader(),
  };
}

/** An error nobody caught: the state is unknown, the kubelet starts a new process. */
function crash(logger: Logger, error: unknown): never {
  const { message, stack } = error as Error;
  logger.error('sidecar crashed', { reason: message, stack: stack ?? '' });
  process.exit(1);
}

async function runSidecar(): Promise<void> {
  let logger = newLogger('info');
  process.on('uncaughtException', (error) => crash(logger, error));
  process.on('unhandledRejection', (error) => crash(logger, error));
  const config = readConfig();
  logger = newLogger(config.logLevel);
  const sidecar = await startSidecar(config, await withThreads(appDeps(logger), config, logger));
  let ending = false;
  const onSignal = (signal: string): void => {
    if (ending) process.exit(1);
    ending = true;
    sidecar.end(signal).then(
      () => process.exit(0),
      (error: unknown) => crash(logger, error),
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

/** One thread needs nothing of this. */
async function withThreads(deps: AppDeps, config: Config, logger: Logger): Promise<AppDeps> {
  if (config.concurrency === 1) return deps;
  const { startThread } = await import('./workers/thread.ts');
  const start = () => startThread(import.meta.url);
  return { ...deps, threads: { start, onLost: (error) => crash(logger, error) } };
}

/** An error that nobody catches here ends the thread, and with it the sidecar, which says so. */
async function runWorker(): Promise<void> {
  const { mainThread } = await import('./workers/thread.ts');
  const main = mainThread();
  const { clock, accessLogOutput, random, afterTurn, originalDestination, logger } = appDeps(
    newLogger('info'),
  );
  const parts = { clock, accessLogOutput, random, afterTurn, originalDestination, logger };
  const take = createWorker({
    ...parts,
    ...main,
    flushed: () => new Promise((resolve) => process.stdout.write('', () => resolve())),
    fail(error) {
      throw error;
    },
  });
  main.onMessage(take);
}

async function runAdmin(args: readonly string[]): Promise<void> {
  const { callAdmin } = await import('./admin/client.ts');
  const path =
    process.env[environment.configFile] === undefined ? paths.admin : readConfig().adminPath;
  if (path === null) throw new Error('the local file names no admin socket');
  const streams = { input: process.stdin, output: process.stdout };
  if (!(await callAdmin(path, args, streams))) process.exitCode = 1;
}

function describeStartError({ code, message }: NodeJS.ErrnoException): string {
  if (code !== 'EADDRINUSE') return message;
  const own = Object.values(ports).join(', ');
  return `${message}; the sidecar owns the ports ${own}: does an app of this pod listen on one?`;
}

async function main([command, ...args]: readonly string[]): Promise<void> {
  try {
    if (command === 'admin') await runAdmin(args);
    else if (command === 'worker') await runWorker();
    else await runSidecar();
  } catch (error) {
    newLogger('info').error(describeStartError(error as NodeJS.ErrnoException));
    process.exit(1);
  }
}

await main(process.argv.slice(2));
