// The operator's process: environment in, signals, exit code. Nothing is decided here.

import { startOperator, type Operator } from './app.ts';
import { readConfig } from './config.ts';
import { StartError } from './errors.ts';
import { createLogger } from './logging.ts';
import { errorText, type Logger } from './resources/logger.ts';
import { systemClock } from './runtime/clock.ts';

/** Below the Deployment's terminationGracePeriodSeconds. */
const drainDeadlineMs = 25_000;
const drainPauseMs = 1_500;

async function main(): Promise<void> {
  const read = readConfig(process.env);
  if (!read.ok)
    fail(createLogger('info'), new StartError('InvalidConfig', read.problems.join('; ')));
  const logger = createLogger(read.config.logLevel);
  process.on('uncaughtException', (error) => fail(logger, error));
  process.on('unhandledRejection', (error) => fail(logger, error));
  try {
    const platform = { clock: systemClock, logger, random: Math.random, drainPauseMs };
    const operator = await startOperator(read.config, platform);
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => void end(operator, logger));
    }
    await operator.ready;
  } catch (error) {
    fail(logger, error);
  }
}

async function end(operator: Operator, logger: Logger): Promise<void> {
  systemClock.after(drainDeadlineMs, () => fail(logger, new Error('draining took too long')));
  await operator.drain();
  process.exit(0);
}

function fail(logger: Logger, error: unknown): never {
  const known = error instanceof StartError ? error : null;
  const hint = known?.hint ?? 'this is a defect of the operator; it is started again';
  const stack = known === null && error instanceof Error ? error.stack : undefined;
  logger.error(errorText(error), { code: known?.code ?? 'Failed', hint, stack });
  process.exit(known?.exitCode ?? 1);
}

await main();
