// A ring of endpoints for consistent hashing: each stands at many points that its name alone decides, and a key belongs
// to the first point from its own on. So all sidecars agree, and when an endpoint goes only its keys move. Immutable.

import type { EndpointHandle } from '../state/prepared.ts';
import { hashText, mix } from './hash.ts';

/** Points of each: the shares of two endpoints then differ by some 7 % (1 / √n). */
const pointsEach = 200;
/** Odd, so that it goes through all numbers (2^32 / golden ratio). */
const stride = 0x9e3779b1;

export interface HashRing {
  readonly endpoints: readonly EndpointHandle[];
  /** Of the endpoints, ascending. */
  readonly names: readonly string[];
  /** Ascending. */
  readonly points: Uint32Array;
  /** Of each point, the index of its endpoint. */
  readonly owners: Uint16Array | Uint32Array;
  /** For each beginning of a hash (its first bits), the first point that is not before it. */
  readonly starts: Uint32Array;
  readonly shift: number;
}

/** An endpoint's keys stay with it when its address changes and its pod's name does not (StatefulSets). */
export function ringName({ podName, address, port }: EndpointHandle): string {
  return `${podName === '' ? address : podName}:${port}`;
}

interface Named {
  readonly one: EndpointHandle;
  readonly name: string;
}

/**
 * The order of the list does not matter. From the ring before only the points of those that went are taken out and those
 * of new ones put in: the same ring as one made from nothing, at a small part of its cost.
 */
export function buildRing(
  list: readonly EndpointHandle[],
  before: HashRing | null = null,
): HashRing {
  const named: Named[] = list.map((one) => ({ one, name: ringName(one) }));
  named.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const endpoints = named.map(({ one }) => one);
  const names = named.map(({ name }) => name);
  if (before === null) return ringOf(endpoints, names, pointsOf(named, null, named.length));
  const moved = movedFrom(before.names, names);
  const added = pointsOf(named, moved.isKept, named.length);
  if (added.length === 0 && names.length === before.names.length) return { ...before, endpoints };
  return ringOf(endpoints, names, merged(before, moved.newOwners, added, named.length));
}

/** Point and owner in one number, so that a plain sort of numbers will do (2^32 × 20,000 < 2^53); without those kept. */
function pointsOf(named: readonly Named[], isKept: Uint8Array | null, width: number): Float64Array {
  const fresh = isKept === null ? named.length : isKept.filter((kept) => kept === 0).length;
  const both = new Float64Array(fresh * pointsEach);
  let at = 0;
  for (const [owner, { name }] of named.entries()) {
    if (isKept !== null && isKept[owner] === 1) continue;
    const base = hashText(name);
    for (let i = 0; i < pointsEach; i += 1)
      both[at++] = mix(base + Math.imul(i, stride)) * width + owner;
  }
  return both.sort();
}

/** Both lists ascend. Of each owner before its index now, or -1; and which of those now were there before. */
function movedFrom(
  before: readonly string[],
  now: readonly string[],
): { newOwners: Int32Array; isKept: Uint8Array } {
  const newOwners = new Int32Array(before.length).fill(-1);
  const isKept = new Uint8Array(now.length);
  for (let i = 0, k = 0; i < before.length && k < now.length;) {
    if (before[i] === now[k]) {
      newOwners[i] = k;
      isKept[k] = 1;
      i += 1;
      k += 1;
    } else if (before[i]! < now[k]!) i += 1;
    else k += 1;
  }
  return { newOwners, isKept };
}

/** What is kept stays in order: owners keep theirs among each other. */
function merged(
  { points, owners }: HashRing,
  newOwners: Int32Array,
  added: Float64Array,
  width: number,
): Float64Array {
  const both = new Float64Array(width * pointsEach);
  let to = 0;
  let next = 0;
  for (let i = 0; i < points.length; i += 1) {
    const owner = newOwners[owners[i]!]!;
    if (owner < 0) continue;
    const point = points[i]! * width + owner;
    while (next < added.length && added[next]! < point) both[to++] = added[next++]!;
    both[to++] = point;
  }
  both.set(added.subarray(next), to);
  return both;
}

function ringOf(
  endpoints: readonly EndpointHandle[],
  names: readonly string[],
  both: Float64Array,
): HashRing {
  const count = both.length;
  const width = Math.max(1, endpoints.length);
  const points = new Uint32Array(count);
  const owners = new (width < 65536 ? Uint16Array : Uint32Array)(count);
  for (let i = 0; i < count; i += 1) {
    const point = Math.floor(both[i]! / width);
    points[i] = point;
    owners[i] = both[i]! - point * width;
  }
  const bits = Math.max(1, Math.ceil(Math.log2(count + 1)));
  return { endpoints, names, points, owners, ...startsOf(points, bits) };
}

function startsOf(points: Uint32Array, bits: number): { starts: Uint32Array; shift: number } {
  const starts = new Uint32Array(2 ** bits + 1);
  const shift = 32 - bits;
  let at = 0;
  for (let begin = 0; begin < starts.length; begin += 1) {
    while (at < points.length && points[at]! >>> shift < begin) at += 1;
    starts[begin] = at;
  }
  return { starts, shift };
}

/** Index of the point that a key belongs to; the ring is not empty. */
export function pointOf(ring: HashRing, hash: number): number {
  const { points, starts, shift } = ring;
  let at = starts[hash >>> shift]!;
  while (at < points.length && points[at]! < hash) at += 1;
  return at === points.length ? 0 : at;
}
