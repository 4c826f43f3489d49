// Test support: a tracer that nobody switched on.

import { randomBytes } from 'node:crypto';
import { systemClock } from '../net/clock.ts';
import { Tracer } from './tracer.ts';

export function untraced(): Tracer {
  return new Tracer({ clock: systemClock, randomBytes, record: () => undefined });
}
