// The functions of CEL and of Kubernetes' libraries for it that rules of CRDs call
// (https://kubernetes.io/docs/reference/using-api/cel/). Pure; each throws an Error where CEL reports one.

import { isIP } from 'node:net';
import { RE2JS } from 're2js';
import { parseQuantity } from '../../inject/quantity.ts';
import { parseDuration } from '../../resources/duration.ts';

type Call = (...args: unknown[]) => unknown;

/** By name and by what they are called on. */
export const functions: Readonly<Record<string, Call>> = {
  duration: (value) => known(parseDuration(text(value)), `${text(value)} is no duration`),
  int: (value) => integer(value),
  isQuantity: (value) => quantityOf(text(value)) !== null,
  quantity: (value) => known(quantityOf(text(value)), `${text(value)} is no quantity`),
  isIP: (value) => isAddress(text(value)),
  isCIDR: (value) => isBlock(text(value)),
  isURL: (value) => isUrl(text(value)),
};

export const methods: Readonly<Record<string, Call>> = {
  size: (on) => sizeOf(on),
  startsWith: (on, prefix) => text(on).startsWith(text(prefix)),
  endsWith: (on, suffix) => text(on).endsWith(text(suffix)),
  contains: (on, part) => text(on).includes(text(part)),
  /** Anywhere in the text, in RE2's syntax. */
  matches: (on, pattern) => RE2JS.compile(text(pattern)).matcher(text(on)).find(),
  lowerAscii: (on) => text(on).replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()),
  substring: (on, from, to) => substring(Array.from(text(on)), Number(from), to),
  compareTo: (on, other) => Math.sign(Number(on) - Number(other)),
};

function text(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError('no text');
  return value;
}

function known<T>(value: T | null, otherwise: string): T {
  if (value === null) throw new RangeError(otherwise);
  return value;
}

function integer(value: unknown): number {
  if (typeof value === 'number') return Math.trunc(value);
  if (!/^[-+]?\d+$/.test(text(value))) throw new RangeError(`${text(value)} is no integer`);
  return Number(value);
}

/** Characters of a text, entries of a list, keys of a map. */
function sizeOf(value: unknown): number {
  if (typeof value === 'string') return Array.from(value).length;
  if (Array.isArray(value)) return value.length;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length;
  throw new TypeError('has no size');
}

function substring(characters: string[], from: number, to: unknown): string {
  const end = to === undefined ? characters.length : Number(to);
  if (from < 0 || end > characters.length || from > end) throw new RangeError('out of range');
  return characters.slice(from, end).join('');
}

/** With a sign, and zero, which the operator's own reading has no use for. */
function quantityOf(value: string): number | null {
  const unsigned = value.replace(/^[-+]/, '');
  const sign = value.startsWith('-') ? -1 : 1;
  if (/^0+(\.0*)?([numkMGTPE]|[KMGTPE]i)?$/.test(unsigned)) return 0;
  const amount = parseQuantity(unsigned);
  return amount === null ? null : sign * amount;
}

function isAddress(value: string): boolean {
  return isIP(value) !== 0 && !value.includes('%');
}

function isBlock(value: string): boolean {
  const [address = '', length = '', ...rest] = value.split('/');
  if (rest.length > 0 || !isAddress(address) || !/^(0|[1-9]\d{0,2})$/.test(length)) return false;
  return Number(length) <= (isIP(address) === 6 ? 128 : 32);
}

/** An absolute URI or path, as Go's url.ParseRequestURI takes them: a port is a number, and nothing in it is a space or a control. */
function isUrl(value: string): boolean {
  if (/[\s\p{Cc}]/u.test(value)) return false;
  return value.startsWith('/') || URL.canParse(value);
}
