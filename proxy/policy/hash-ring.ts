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

/** The order of the list does not matter. */
export function buildRing(list: readonly EndpointHandle[]): HashRing {
  const named = list.map((one) => ({ one, name: ringName(one) }));
  named.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const endpoints = named.map(({ one }) => one);
  const count = endpoints.length * pointsEach;
  // Point and owner in one number, so that a plain sort of numbers will do (2^32 × 20,000 < 2^53).
  const both = new Float64Array(count);
  const width = Math.max(1, endpoints.length);
  for (const [owner, { name }] of named.entries()) {
    const base = hashText(name);
    for (let i = 0; i < pointsEach; i += 1)
      both[owner * pointsEach + i] = mix(base + Math.imul(i, stride)) * width + owner;
  }
  both.sort();
  const points = new Uint32Array(count);
  const owners = new (width < 65536 ? Uint16Array : Uint32Array)(count);
  for (let i = 0; i < count; i += 1) {
    const point = Math.floor(both[i]! / width);
    points[i] = point;
    owners[i] = both[i]! - point * width;
  }
  const bits = Math.max(1, Math.ceil(Math.log2(count + 1)));
  return { endpoints, points, owners, ...startsOf(points, bits) };
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
