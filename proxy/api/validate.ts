// Checks what enters from outside against proxy/api/schema.ts, by code generated ahead of time, and
// says in words what is wrong where. It fills in nothing and changes nothing.

import type { AppMetrics, Bootstrap, CaptureSettings, RewrittenProbe } from './bootstrap.ts';
import type { DownMessage } from './discovery.ts';
import * as validators from './generated/validators.js';
import type { Resource } from './resources.ts';

export interface Fault {
  /** JSON pointer into the value. */
  path: string;
  message: string;
}

export type Checked<T> = { ok: true; value: T } | { ok: false; fault: Fault };

/** A sidecar without an operator: the same resources, and where to listen. See docs. */
export interface LocalFile {
  resources: Resource[];
  outbound?: LocalListener[];
  inbound?: LocalListener[];
  /** `address:port` of health and metrics. */
  health?: string;
  /** Path of the admin socket. */
  admin?: string;
  /** Directory with the files of an identity Secret. */
  identity?: string;
  logLevel?: Bootstrap['logLevel'];
  gracePeriodSeconds?: number;
  /** Without it nobody can ask for a drain on the health port. */
  hookToken?: string;
  probes?: RewrittenProbe[];
  /** Event loops that carry traffic; 1 by default. */
  concurrency?: number;
  appMetrics?: AppMetrics;
}

export interface LocalListener {
  /** `address:port`; port 0 takes any free one. */
  listen: string;
  /** The original destination of every connection; without it, what the kernel says (iptables). */
  destination?: string;
}

/** The envelope; its resources are checked one by one where they are prepared. */
export const checkDownMessage = (value: unknown): Checked<DownMessage> =>
  check(validators.downMessage, value);

export const checkBootstrap = (value: unknown): Checked<Bootstrap> =>
  check(validators.bootstrap, value);

export const checkCaptureSettings = (value: unknown): Checked<CaptureSettings> =>
  check(validators.captureSettings, value);

/** The file around its resources. */
export const checkLocalFile = (value: unknown): Checked<LocalFile> =>
  check(validators.localFile, value);

function check<T>(validator: validators.Validator, value: unknown): Checked<T> {
  if (validator(value)) return { ok: true, value: value as T };
  const [fault] = validator.errors ?? [];
  if (fault === undefined) return { ok: false, fault: { path: '', message: 'is not valid' } };
  return { ok: false, fault: { path: fault.instancePath, message: wordsOf(fault) } };
}

function wordsOf(fault: validators.Fault): string {
  const { allowedValues, allowedValue, additionalProperty } = fault.params;
  if (Array.isArray(allowedValues)) return `must be one of: ${allowedValues.join(', ')}`;
  if (allowedValue !== undefined) return `must be ${JSON.stringify(allowedValue)}`;
  if (typeof additionalProperty === 'string') return `has an unknown field "${additionalProperty}"`;
  return fault.message ?? `fails ${fault.keyword}`;
}
