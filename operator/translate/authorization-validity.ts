// What is wrong with an AuthorizationPolicy in itself, with the path of the field: what the CRD's schema
// says, for objects that came past it (from files, from an older CRD), and what it cannot say. Takes
// whatever was read, never throws. What becomes of a policy with faults: authorization.ts. Pure.

import {
  conditionKeyFault,
  conditionValueFault,
  ipBlockFault,
} from '../../proxy/api/authorization-faults.ts';
import { parseSpiffeId } from '../../proxy/api/spiffe.ts';
import { dryRunAnnotation } from '../resources/dry-run.ts';
import type { AuthorizationPolicy } from '../resources/tsmesh.ts';
import type { Fault } from './field-checks.ts';

/** Null: right. Else what it must be. */
type Check = (value: unknown) => string | null;
type Fields = Readonly<Record<string, Check>>;

export const authorizationActions = ['ALLOW', 'DENY', 'AUDIT'] as const;
const attributes = [
  'source.ip',
  'source.identity',
  'source.namespace',
  'source.serviceAccount',
  'destination.ip',
  'destination.port',
];
const token = /^[-A-Za-z0-9!#$%&'*+.^_`|~]+$/;
const headerKey = /^request\.headers\[(.*)\]$/;

/** A whole value, or one with `*` at its begin or its end; `form` is for the rest. */
function pattern(form: RegExp, hint: string): Check {
  return text((value) => {
    if (value === '*') return null;
    const rest = value.startsWith('*') ? value.slice(1) : value.replace(/\*$/, '');
    if (rest.includes('*'))
      return `must have * only at its begin or only at its end, such as ${hint}`;
    return form.test(rest) ? null : `must be like ${hint}`;
  });
}

function text(check: (value: string) => string | null): Check {
  return (value) => (typeof value === 'string' && value !== '' ? check(value) : 'must be a text');
}

function like(form: RegExp, hint: string): Check {
  return text((value) => (form.test(value) ? null : `must be ${hint}`));
}

const identity = text((value) => {
  if (value.startsWith('spiffe:')) {
    return 'must be without spiffe://, such as cluster.local/ns/shop/sa/cart';
  }
  if (!value.includes('*')) {
    if (parseSpiffeId(`spiffe://${value}`) !== null) return null;
    return 'must be an identity of the mesh, such as cluster.local/ns/shop/sa/cart; names of service accounts go into serviceAccounts';
  }
  return identityPattern(value);
});
const identityPattern = pattern(/^[a-z0-9._/-]+$/, 'cluster.local/ns/shop/*');
const namespace = pattern(/^[a-z0-9-]{1,63}$/, 'shop or team-*');
const serviceAccount = like(
  /^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\/)?[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/,
  'the name of a service account, such as cart, or shop/cart of another namespace',
);
/** Without a zone: it means something on one machine only. */
const addressBlock = text((value) =>
  value.includes('%')
    ? 'must be an IP address or a CIDR block without a zone'
    : ipBlockFault(value),
);
const host = pattern(
  /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)?(:[0-9]{1,5})?$/,
  'cart.shop, cart.shop:8080 or *.example.com',
);
const port: Check = (value) =>
  Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 65_535
    ? null
    : 'must be a port from 1 to 65535';
const method = like(/^[A-Z][A-Z-]*$/, 'an HTTP method in capitals, such as GET');

const whole = like(/^\/[^?#]*$/, "a path that begins with '/' and has no query, such as /cart");
const pathForms: Fields = {
  exact: whole,
  prefix: whole,
  suffix: like(/^[^?#]+$/, 'the end of a path, without a query, such as .json'),
  template: like(
    /^(\/([^/{}*?#]*|\{\*\*?\}))+$/,
    "a path that begins with '/', with {*} or {**} as whole segments only, such as /users/{*}/orders",
  ),
};
const path: Check = (value) => {
  if (!isObject(value)) return 'must have exactly one of exact, prefix, suffix, template';
  const given = Object.entries(value).filter(([, one]) => one !== undefined);
  const [form, said] = given[0] ?? [''];
  const check = pathForms[form];
  if (given.length !== 1 || check === undefined) {
    return 'must have exactly one of exact, prefix, suffix, template';
  }
  const wrong = check(said);
  return wrong === null ? null : `${form} ${wrong}`;
};

/** Of `from` and `to`: each field a list, of which each entry is checked alone. */
const sourceFields: Fields = {
  ...both('identities', identity),
  ...both('namespaces', namespace),
  ...both('serviceAccounts', serviceAccount),
  ...both('ipBlocks', addressBlock),
};
const operationFields: Fields = {
  ...both('hosts', host),
  ...both('ports', port),
  ...both('methods', method),
  ...both('paths', path),
};

function both(name: string, check: Check): Fields {
  return { [name]: check, [`not${name.charAt(0).toUpperCase()}${name.slice(1)}`]: check };
}

/** Of whatever was read as an AuthorizationPolicy. */
export function authorizationFaults(policy: Pick<AuthorizationPolicy, 'metadata'>): Fault[] {
  const spec: unknown = (policy as { spec?: unknown }).spec;
  const dryRun = policy.metadata.annotations?.[dryRunAnnotation];
  const noted =
    dryRun === undefined || dryRun === 'true' || dryRun === 'false'
      ? []
      : [fault(`metadata.annotations[${dryRunAnnotation}]`, `must be "true" or "false"`, dryRun)];
  if (!isObject(spec)) return [...noted, { path: 'spec', message: 'is missing' }];
  return [
    ...noted,
    ...unknownFields('spec', spec, ['selector', 'action', 'rules']),
    ...selectorFaults(spec['selector']),
    ...actionFaults(spec),
    ...rulesFaults(spec['rules']),
  ];
}

function selectorFaults(selector: unknown): Fault[] {
  if (selector === undefined) return [];
  if (!isObject(selector)) return [{ path: 'spec.selector', message: 'must have matchLabels' }];
  const unknown = unknownFields('spec.selector', selector, ['matchLabels']);
  const { matchLabels = {} } = selector;
  const right =
    isObject(matchLabels) && Object.values(matchLabels).every((label) => typeof label === 'string');
  if (right) return unknown;
  return [...unknown, { path: 'spec.selector.matchLabels', message: 'must be labels as texts' }];
}

function actionFaults(spec: Record<string, unknown>): Fault[] {
  const { action = 'ALLOW', rules } = spec;
  if (!(authorizationActions as readonly unknown[]).includes(action)) {
    return [fault('spec.action', `must be one of ${authorizationActions.join(', ')}`, action)];
  }
  if (action === 'ALLOW' || (Array.isArray(rules) && rules.length > 0)) return [];
  const what = action === 'DENY' ? 'a DENY' : 'an AUDIT';
  const message = `${what} policy without rules matches nothing; one rule that is empty, {}, matches everything`;
  return [{ path: 'spec.rules', message }];
}

function rulesFaults(rules: unknown): Fault[] {
  if (rules === undefined) return [];
  if (!Array.isArray(rules)) return [{ path: 'spec.rules', message: 'must be a list' }];
  const names = rules.flatMap((rule: unknown) => (isObject(rule) ? (rule['name'] ?? []) : []));
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  const unique =
    twice === undefined ? [] : [fault('spec.rules', 'names of rules must be unique', twice)];
  return [...unique, ...rules.flatMap((rule, i) => ruleFaults(`spec.rules[${i}]`, rule))];
}

function ruleFaults(at: string, rule: unknown): Fault[] {
  if (!isObject(rule)) return [{ path: at, message: 'must have from, to or when, or be {}' }];
  const { name } = rule;
  const named = name === undefined || (typeof name === 'string' && /^[a-z0-9-]{1,63}$/.test(name));
  return [
    ...unknownFields(at, rule, ['name', 'from', 'to', 'when']),
    ...(named ? [] : [fault(`${at}.name`, 'must be lower-case letters, digits and -', name)]),
    ...entriesFaults(`${at}.from`, rule['from'], (p, one) => entryFaults(p, one, sourceFields)),
    ...entriesFaults(`${at}.to`, rule['to'], (p, one) => entryFaults(p, one, operationFields)),
    ...entriesFaults(`${at}.when`, rule['when'], conditionFaults),
  ];
}

type EntryFaults = (path: string, entry: Record<string, unknown>) => Fault[];

function entriesFaults(at: string, list: unknown, faultsOf: EntryFaults): Fault[] {
  if (list === undefined) return [];
  if (!Array.isArray(list) || list.length === 0) {
    return [{ path: at, message: 'must be a list with an entry, or be left out' }];
  }
  return list.flatMap((entry: unknown, i) =>
    isObject(entry)
      ? faultsOf(`${at}[${i}]`, entry)
      : [{ path: `${at}[${i}]`, message: 'must have fields' }],
  );
}

function entryFaults(at: string, entry: Record<string, unknown>, fields: Fields): Fault[] {
  if (Object.keys(entry).length === 0) {
    const what = Object.keys(fields)
      .filter((field) => !field.startsWith('not'))
      .join(', ');
    return [{ path: at, message: `must say something: one of ${what}, or their negations` }];
  }
  return [
    ...unknownFields(at, entry, Object.keys(fields)),
    ...Object.entries(fields).flatMap(([field, check]) =>
      listFaults(`${at}.${field}`, entry[field], check),
    ),
  ];
}

function conditionFaults(at: string, entry: Record<string, unknown>): Fault[] {
  const { key, values, notValues } = entry;
  const unknown = unknownFields(at, entry, ['key', 'values', 'notValues']);
  const wrong = keyFault(key);
  if (wrong !== null) return [...unknown, fault(`${at}.key`, wrong, key)];
  if (values === undefined && notValues === undefined) {
    return [...unknown, { path: at, message: 'must have values or notValues' }];
  }
  const check = valueCheck(String(key));
  return [
    ...unknown,
    ...listFaults(`${at}.values`, values, check),
    ...listFaults(`${at}.notValues`, notValues, check),
  ];
}

function keyFault(key: unknown): string | null {
  if (typeof key === 'string' && attributes.includes(key)) return null;
  const header = typeof key === 'string' ? headerKey.exec(key)?.[1] : undefined;
  if (header === undefined)
    return `must be request.headers[name], or one of ${attributes.join(', ')}`;
  if (!token.test(header)) return 'must name a header field, such as request.headers[x-user]';
  return conditionKeyFault(String(key));
}

function valueCheck(key: string): Check {
  if (key.endsWith('.ip')) return addressBlock;
  if (key === 'destination.port') {
    return text((value) =>
      port(Number(value)) === null ? null : 'must be a port, such as "8080"',
    );
  }
  // The sidecar's own check, but for names of service accounts, which are completed before they are sent.
  const checked = key === 'source.serviceAccount' ? 'source.identity' : key;
  return (value) =>
    typeof value === 'string' ? conditionValueFault(checked, value) : 'must be a text';
}

function listFaults(at: string, list: unknown, check: Check): Fault[] {
  if (list === undefined) return [];
  if (!Array.isArray(list) || list.length === 0) {
    return [{ path: at, message: 'must be a list with an entry, or be left out' }];
  }
  return list.flatMap((value: unknown, i) => {
    const wrong = check(value);
    return wrong === null ? [] : [fault(`${at}[${i}]`, wrong, value)];
  });
}

function unknownFields(at: string, object: Record<string, unknown>, known: string[]): Fault[] {
  return Object.keys(object)
    .filter((field) => !known.includes(field))
    .map((field) => ({
      path: `${at}.${field}`,
      message: `is no field; known are ${known.join(', ')}`,
    }));
}

/** Long enough to find the value again. */
const shownLength = 80;

function fault(at: string, message: string, value: unknown): Fault {
  const shown = (JSON.stringify(value) ?? 'nothing').slice(0, shownLength);
  return { path: at, message: `${shown} ${message}` };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
