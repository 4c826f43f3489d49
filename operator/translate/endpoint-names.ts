// Names of Endpoints resources: format and parse. A subset stands as its labels, not as the name a
// policy gave it: two policies can use one name for different pods, and a changed subset must not be
// seen half old, half new.

import { destinationName } from '../../proxy/api/resources.ts';
import { compareText } from '../model/order.ts';
import { parseDestinationName } from '../model/addresses.ts';
import type { ObjectKey } from '../model/view.ts';

/** Of the address that the client called. */
export type Family = 'IPv4' | 'IPv6';

/** What Endpoints of a Service are named by, but for the subset. */
export interface ServicePlace {
  service: ObjectKey;
  port: number;
  family: Family;
}

export type EndpointsName =
  | { kind: 'pod'; address: string; port: number }
  | {
      kind: 'service';
      namespace: string;
      service: string;
      port: number;
      /** Addresses of this family only: what an app listens on is not known for the other one. */
      family: Family;
      /** Null: all pods. */
      labels: Record<string, string> | null;
      /** A subset that the policy does not define: no pods. */
      undefinedSubset: boolean;
    };

/** `shop/cart:80`, `shop/cart:80@ipv6`, `shop/cart:80/version=v2`. */
export function serviceEndpointsName(
  place: ServicePlace,
  labels: Readonly<Record<string, string>> | null,
): string {
  const name = baseName(place);
  if (labels === null) return name;
  const pairs = Object.entries(labels).toSorted(([a], [b]) => compareText(a, b));
  return `${name}/${pairs.map(([key, value]) => `${key}=${value}`).join(',')}`;
}

/** `shop/cart:80/?canary`: leads to no pod. */
export function undefinedSubsetName(place: ServicePlace, subset: string): string {
  return `${baseName(place)}/?${subset}`;
}

function baseName({ service, port, family }: ServicePlace): string {
  return `${service}:${port}${family === 'IPv6' ? '@ipv6' : ''}`;
}

/** `pod/10.244.0.7:8080`. */
export function podEndpointsName(address: string, port: number): string {
  return `pod/${destinationName(address, port)}`;
}

/** Null where the text is no such name. */
export function parseEndpointsName(name: string): EndpointsName | null {
  const pod = name.startsWith('pod/') ? parseDestinationName(name.slice(4)) : null;
  if (pod !== null) return { kind: 'pod', ...pod };
  const match = /^([a-z0-9-]+)\/([a-z0-9-]+):(\d{1,5})(@ipv6)?(?:\/(.*))?$/.exec(name);
  if (match === null) return null;
  const subset = match[5];
  const undefinedSubset = subset?.startsWith('?') ?? false;
  return {
    kind: 'service',
    namespace: match[1]!,
    service: match[2]!,
    port: Number(match[3]),
    family: match[4] === undefined ? 'IPv4' : 'IPv6',
    labels: subset === undefined || undefinedSubset ? null : parseLabels(subset),
    undefinedSubset,
  };
}

function parseLabels(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split(',').map((pair) => {
      const at = pair.indexOf('=');
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}
