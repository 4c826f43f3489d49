// The settings that a pod can make by annotation: one table of what there is, checked with ajv, with
// messages that name annotation, value and what is valid. Pure.

import { Ajv, type ErrorObject } from 'ajv';
import { isIP } from 'node:net';
import { maxConcurrency } from '../../proxy/api/bootstrap.ts';
import { ports } from '../../proxy/api/constants.ts';
import {
  accessLogAnnotation,
  accessLogFormatAnnotation,
  accessLogFormats,
  accessLogModes,
  accessLogSamplingAnnotation,
  validSampling,
} from '../resources/access-log.ts';
import { parseQuantity } from './quantity.ts';

export const annotationPrefix = 'tsmesh.dev/';
/** On namespaces and pods, as annotation or label. */
export const injectKey = 'tsmesh.dev/inject';
/** On injected pods: a label with `true`, an annotation with the version that injected. */
export const injectedKey = 'tsmesh.dev/injected';

export interface PodSettings {
  excludeInboundPorts: number[];
  excludeOutboundPorts: number[];
  excludeOutboundCidrs: string[];
  proxyCpu?: string;
  proxyCpuLimit?: string;
  proxyMemory?: string;
  proxyMemoryLimit?: string;
  logLevel?: 'error' | 'warn' | 'info' | 'debug';
  concurrency?: number;
}

export type SettingsResult = { ok: true; settings: PodSettings } | { ok: false; message: string };

export interface AnnotationEntry {
  name: string;
  /** Name in PodSettings; null: not a setting of the sidecar. */
  field: keyof PodSettings | null;
  schema: object;
  /** What is valid, for messages and docs. */
  valid: string;
  example: string;
  description: string;
  /** Text of the annotation to the value that the schema checks. */
  read: (text: string) => unknown;
}

const portList = {
  type: 'array',
  uniqueItems: true,
  maxItems: 64,
  items: { type: 'integer', minimum: 1, maximum: 65535 },
};
const validPorts = 'ports from 1 to 65535, comma-separated, each once, at most 64';
const cpu = { type: 'string', format: 'quantity' };
const memory = { type: 'string', format: 'quantity' };
const memoryLimit = { type: 'string', format: 'memoryLimit' };
const validCpu = 'a CPU quantity, such as 100m or 1';
const validMemory = 'a memory quantity, such as 128Mi or 1Gi';
const validMemoryLimit = 'a memory quantity of at least 96Mi, such as 128Mi or 1Gi';
/** A limit below, and the sidecar runs out of it (measured: 52 MB RSS idle, 74 to 85 under load). */
export const minimumMemoryBytes = 96 * 1024 ** 2;
/** Of each event loop beyond the first (measured: 15 MB idle), with room for its heap. */
const perWorkerBytes = 32 * 1024 ** 2;

/** What a sidecar with that many event loops cannot do without. */
export function leastMemoryBytes(concurrency: number): number {
  return minimumMemoryBytes + (concurrency - 1) * perWorkerBytes;
}

/** Every annotation that a pod may carry. */
export const podAnnotations: readonly AnnotationEntry[] = [
  {
    name: injectKey,
    field: null,
    schema: { enum: ['enabled', 'disabled'] },
    valid: 'enabled or disabled',
    example: 'disabled',
    description: 'Whether this pod gets a sidecar, whatever its namespace says. Also as a label.',
    read: asText,
  },
  {
    name: injectedKey,
    field: null,
    schema: { type: 'string' },
    valid: 'anything; it is overwritten',
    example: 'v0.1.0',
    description: 'Written by the mesh: the version that injected the sidecar. Not to be set.',
    read: asText,
  },
  {
    name: 'tsmesh.dev/exclude-inbound-ports',
    field: 'excludeInboundPorts',
    schema: portList,
    valid: validPorts,
    example: '9090,9091',
    description: 'Pod ports whose connections do not pass through the sidecar: no mTLS, no policy.',
    read: asNumbers,
  },
  {
    name: 'tsmesh.dev/exclude-outbound-ports',
    field: 'excludeOutboundPorts',
    schema: portList,
    valid: validPorts,
    example: '3306',
    description: 'Destination ports that the pod reaches without the sidecar.',
    read: asNumbers,
  },
  {
    name: 'tsmesh.dev/exclude-outbound-cidrs',
    field: 'excludeOutboundCidrs',
    schema: {
      type: 'array',
      uniqueItems: true,
      maxItems: 64,
      items: { type: 'string', format: 'cidr' },
    },
    valid: 'IPv4 or IPv6 prefixes, comma-separated, each once, at most 64',
    example: '169.254.169.254/32,fd00::/8',
    description: 'Destination addresses that the pod reaches without the sidecar.',
    read: asList,
  },
  {
    name: 'tsmesh.dev/proxy-cpu',
    field: 'proxyCpu',
    schema: cpu,
    valid: validCpu,
    example: '100m',
    description: 'CPU request of the sidecar.',
    read: asText,
  },
  {
    name: 'tsmesh.dev/proxy-cpu-limit',
    field: 'proxyCpuLimit',
    schema: cpu,
    valid: validCpu,
    example: '1',
    description: 'CPU limit of the sidecar. In a Guaranteed pod it is the request, too.',
    read: asText,
  },
  {
    name: 'tsmesh.dev/proxy-memory',
    field: 'proxyMemory',
    schema: memory,
    valid: validMemory,
    example: '128Mi',
    description: 'Memory request of the sidecar.',
    read: asText,
  },
  {
    name: 'tsmesh.dev/proxy-memory-limit',
    field: 'proxyMemoryLimit',
    schema: memoryLimit,
    valid: validMemoryLimit,
    example: '512Mi',
    description:
      'Memory limit of the sidecar; its heap limit follows. In a Guaranteed pod it is the request, too.',
    read: asText,
  },
  {
    name: 'tsmesh.dev/log-level',
    field: 'logLevel',
    schema: { enum: ['error', 'warn', 'info', 'debug'] },
    valid: 'error, warn, info or debug',
    example: 'debug',
    description: 'How much the sidecar logs.',
    read: asText,
  },
  {
    name: accessLogAnnotation,
    field: null,
    schema: { enum: accessLogModes },
    valid: 'none, errors or all',
    example: 'all',
    description:
      'Which requests the sidecar logs, whatever namespace and Mesh say. It may change while the pod runs. See [access logs](access-logs.md).',
    read: asText,
  },
  {
    name: accessLogFormatAnnotation,
    field: null,
    schema: { enum: accessLogFormats },
    valid: 'json or text',
    example: 'text',
    description: 'How it logs them. It may change while the pod runs.',
    read: asText,
  },
  {
    name: accessLogSamplingAnnotation,
    field: null,
    schema: { type: 'number', minimum: 0, maximum: 100 },
    valid: validSampling,
    example: '10',
    description:
      'How many of those that did not fail, where all are logged. It may change while the pod runs.',
    read: (text) => (/^\d{1,3}(?:\.\d{1,4})?$/.test(text) ? Number(text) : text),
  },
  {
    name: 'tsmesh.dev/proxy-concurrency',
    field: 'concurrency',
    schema: { type: 'integer', minimum: 1, maximum: maxConcurrency },
    valid: `a whole number from 1 to ${maxConcurrency}`,
    example: '2',
    description:
      'Cores that the sidecar can use. Each beyond the first needs 32Mi more of memory limit, of which 15 are used when idle.',
    read: asNumber,
  },
];

const ajv = new Ajv({
  allErrors: false,
  formats: {
    cidr: isCidr,
    quantity: (text: string) => parseQuantity(text) !== null,
    memoryLimit: (text: string) => (parseQuantity(text) ?? 0) >= minimumMemoryBytes,
  },
});
const entries = new Map(
  podAnnotations.map((entry) => [entry.name, { ...entry, check: ajv.compile(entry.schema) }]),
);

/** Reads the mesh's annotations of a pod. The first fault ends it. */
export function readSettings(annotations: Record<string, string>): SettingsResult {
  const settings: PodSettings = {
    excludeInboundPorts: [],
    excludeOutboundPorts: [],
    excludeOutboundCidrs: [],
  };
  for (const [name, text] of Object.entries(annotations)) {
    if (!name.startsWith(annotationPrefix)) continue;
    const entry = entries.get(name);
    if (entry === undefined) return { ok: false, message: unknownAnnotation(name) };
    const value = entry.read(text);
    if (!entry.check(value)) return { ok: false, message: fault(entry, text, entry.check.errors) };
    if (entry.field !== null) Object.assign(settings, { [entry.field]: value });
  }
  const message = contradiction(settings);
  return message === null ? { ok: true, settings } : { ok: false, message };
}

/** What single annotations cannot say of themselves. */
function contradiction(settings: PodSettings): string | null {
  if (settings.excludeInboundPorts.includes(ports.health)) {
    return `annotation tsmesh.dev/exclude-inbound-ports: ${ports.health} is the sidecar's own port and is never captured`;
  }
  const pairs = [
    ['proxy-cpu', settings.proxyCpu, settings.proxyCpuLimit],
    ['proxy-memory', settings.proxyMemory, settings.proxyMemoryLimit],
  ] as const;
  for (const [name, request, limit] of pairs) {
    if (request === undefined || limit === undefined) continue;
    if (parseQuantity(request)! <= parseQuantity(limit)!) continue;
    return `annotation ${annotationPrefix}${name}: "${request}" is more than ${annotationPrefix}${name}-limit "${limit}"`;
  }
  return tooLittleMemory(settings);
}

function tooLittleMemory({ concurrency, proxyMemoryLimit }: PodSettings): string | null {
  if (concurrency === undefined || proxyMemoryLimit === undefined) return null;
  const least = leastMemoryBytes(concurrency);
  if (parseQuantity(proxyMemoryLimit)! >= least) return null;
  const needed = `${least / 1024 ** 2}Mi`;
  return `annotation ${annotationPrefix}proxy-concurrency: "${concurrency}" needs ${annotationPrefix}proxy-memory-limit to be at least ${needed}, it is "${proxyMemoryLimit}"`;
}

function fault(
  entry: AnnotationEntry,
  text: string,
  errors: ErrorObject[] | null | undefined,
): string {
  const detail = errors?.[0]?.keyword === 'uniqueItems' ? ' (one stands there twice)' : '';
  return `annotation ${entry.name}: "${text}" is not valid${detail}; valid: ${entry.valid}`;
}

function unknownAnnotation(name: string): string {
  const known = podAnnotations.map((entry) => entry.name).filter((n) => n !== injectedKey);
  const best = known
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
    .toSorted((a, b) => a.distance - b.distance)[0]!;
  // Farther away it is not a misspelling any more.
  const hint = best.distance <= 4 ? `; did you mean ${best.candidate}?` : '';
  return `annotation ${name} is unknown${hint || `; there are: ${known.join(', ')}`}`;
}

/** Levenshtein's. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}

function isCidr(text: string): boolean {
  const [address = '', length = '', ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0 || !/^\d{1,3}$/.test(length)) return false;
  return Number(length) <= (family === 4 ? 32 : 128);
}

function asText(text: string): unknown {
  return text;
}

function asList(text: string): unknown {
  return text.trim() === '' ? [] : text.split(',').map((part) => part.trim());
}

function asNumbers(text: string): unknown {
  return (asList(text) as string[]).map(asNumber);
}

function asNumber(text: string): unknown {
  return /^\d+$/.test(text) ? Number(text) : text;
}
