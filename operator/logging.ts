// The operator's log: one line of JSON each on standard output, by winston. What is logged is decided
// where it happens.

import winston from 'winston';
import type { LogFields, Logger } from './resources/logger.ts';

export function createLogger(level: 'error' | 'warn' | 'info' | 'debug'): Logger {
  const { combine, json } = winston.format;
  const time = winston.format((info) => ({ time: new Date().toISOString(), ...info }));
  const logger = winston.createLogger({
    level,
    format: combine(time(), json({ deterministic: false })),
    transports: [new winston.transports.Console()],
  });
  const at = (name: keyof Logger) => (message: string, fields?: LogFields) => {
    logger.log(name, message, fields ?? {});
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
