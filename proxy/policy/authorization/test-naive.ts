// Authorization as plainly as it can be written, straight from the policies: what the compiled one is held to. Shares
// with it only how a path is read.
import type {
  Authorization,
  AuthorizationAction,
  AuthorizationCondition,
  AuthorizationOperation,
  AuthorizationPath,
  AuthorizationPolicyRules,
  AuthorizationRule,
  AuthorizationSource,
} from '../../api/authorization.ts';
import { normalPath, pathReadings } from './path-readings.ts';
import type { Caller, Decision, HttpRequest, Remark, Target } from './types.ts';

interface World {
  caller: Caller;
  target: Target;
  request: HttpRequest | null;
  path: string | null;
  action: AuthorizationAction;
}

export function naiveDecision(
  { policies, ambiguousPaths }: Authorization,
  caller: Caller,
  target: Target,
  request: HttpRequest | null,
): Decision {
  const { texts, ambiguous } =
    request === null ? { texts: [], ambiguous: false } : pathReadings(request.path);
  const paths = texts.length === 0 ? [null] : texts;
  const holds = (
    { action }: AuthorizationPolicyRules,
    rule: AuthorizationRule,
    path: string | null,
  ): boolean => ruleHolds(rule, { caller, target, request, path, action });
  const remarks: Remark[] = [];
  for (const policy of policies) {
    if (policy.action === 'ALLOW' || (policy.action === 'DENY' && !policy.dryRun)) continue;
    const rule = policy.rules.find((one) => paths.some((path) => holds(policy, one, path)));
    const kind = policy.action === 'AUDIT' ? 'audit' : 'would-deny';
    if (rule !== undefined) remarks.push({ kind, policy: policy.name, rule: rule.name });
  }
  const enforced = policies.filter(({ dryRun }) => !dryRun);
  const allows = enforced.filter(({ action }) => action === 'ALLOW');
  const trials = policies.filter(({ action, dryRun }) => action === 'ALLOW' && dryRun);
  const allowedBy = (some: AuthorizationPolicyRules[], path: string | null) =>
    some
      .flatMap((policy) => policy.rules.map((rule) => ({ policy, rule })))
      .find(({ policy, rule }) => holds(policy, rule, path));
  if (allows.length === 0 && !paths.every((path) => allowedBy(trials, path) !== undefined))
    for (const { name } of trials) remarks.push({ kind: 'would-deny', policy: name, rule: '' });

  const decides = enforced.filter(({ action }) => action !== 'AUDIT');
  const inForce = allows.length > 0 || decides.some(({ rules }) => rules.length > 0);
  if (ambiguous && ambiguousPaths === 'refuse' && inForce)
    return {
      allowed: false,
      reason: 'ambiguous-path',
      by: { policy: 'Mesh default', rule: 'ambiguousPaths' },
      remarks,
    };
  for (const policy of enforced) {
    if (policy.action !== 'DENY') continue;
    const rule = policy.rules.find((one) => paths.some((path) => holds(policy, one, path)));
    if (rule !== undefined)
      return {
        allowed: false,
        reason: 'deny-rule',
        by: { policy: policy.name, rule: rule.name },
        remarks,
      };
  }
  if (allows.length === 0) return { allowed: true, reason: 'no-policy', by: null, remarks };
  const found = paths.map((path) => allowedBy(allows, path));
  if (found.includes(undefined)) {
    const names = allows.map(({ name }) => name);
    const more = names.length > 3 ? ` and ${names.length - 3} more` : '';
    return {
      allowed: false,
      reason: 'no-allow-rule',
      by: { policy: names.slice(0, 3).join(', ') + more, rule: '' },
      remarks,
    };
  }
  const by = { policy: found[0]!.policy.name, rule: found[0]!.rule.name };
  return { allowed: true, reason: 'allow-rule', by, remarks };
}

function ruleHolds({ from, to, when }: AuthorizationRule, world: World): boolean {
  return (
    (from.length === 0 || from.some((source) => sourceHolds(source, world))) &&
    (to.length === 0 || to.some((operation) => operationHolds(operation, world))) &&
    when.every((condition) => conditionHolds(condition, world))
  );
}

/** Any of `values`, none of `notValues`; unknown (undefined) is as safe as the action asks. */
function listsHold<V>(
  world: World,
  values: readonly V[] | undefined,
  notValues: readonly V[] | undefined,
  is: (value: V) => boolean | undefined,
): boolean {
  const safe = world.action === 'DENY';
  const any = (list: readonly V[]): boolean | undefined =>
    list.some((one) => is(one) === undefined) ? undefined : list.some((one) => is(one));
  const yes = values === undefined ? true : (any(values) ?? safe);
  const negated = notValues === undefined ? false : any(notValues);
  return yes && (negated === undefined ? safe : !negated);
}

function sourceHolds(source: AuthorizationSource, world: World): boolean {
  const { caller } = world;
  const account =
    caller.serviceAccount === '' ? '' : `${caller.namespace}/${caller.serviceAccount}`;
  const inText = (text: string) => (pattern: string) => text !== '' && textIs(pattern, text);
  return (
    listsHold(
      world,
      source.identities,
      source.notIdentities,
      inText(caller.identity.slice('spiffe://'.length)),
    ) &&
    listsHold(world, source.namespaces, source.notNamespaces, inText(caller.namespace)) &&
    listsHold(world, source.serviceAccounts, source.notServiceAccounts, inText(account)) &&
    listsHold(world, source.ipBlocks, source.notIpBlocks, (block) => inBlock(block, caller.address))
  );
}

function operationHolds(operation: AuthorizationOperation, world: World): boolean {
  const { request, path, target } = world;
  const method = request?.method;
  const host = hostOf(request);
  return (
    listsHold(world, operation.ports, operation.notPorts, (port) => port === target.port) &&
    methodsHold(world, operation, method) &&
    listsHold(world, operation.paths, operation.notPaths, (one) =>
      path === null ? undefined : pathIs(one, path),
    ) &&
    listsHold(world, operation.hosts, operation.notHosts, (one) =>
      host === undefined ? undefined : hostIs(one, host),
    )
  );
}

/** A method that is named in capitals only is unknown. */
function methodsHold(
  world: World,
  { methods, notMethods }: AuthorizationOperation,
  method: string | undefined,
): boolean {
  const is = (list: readonly string[] | undefined) => (one: string) => {
    if (method === undefined) return undefined;
    if (list?.includes(method) === true || one !== method.toUpperCase()) return one === method;
    return undefined;
  };
  return (
    listsHold(world, methods, undefined, is(methods)) &&
    listsHold(world, undefined, notMethods, is(notMethods))
  );
}

function conditionHolds({ key, values, notValues }: AuthorizationCondition, world: World): boolean {
  const { target, request, action } = world;
  const source = (name: string): boolean =>
    sourceHolds(
      { [name]: values, [`not${name[0]!.toUpperCase()}${name.slice(1)}`]: notValues },
      world,
    );
  switch (key) {
    case 'source.ip':
      return source('ipBlocks');
    case 'source.identity':
      return source('identities');
    case 'source.namespace':
      return source('namespaces');
    case 'source.serviceAccount':
      return source('serviceAccounts');
    case 'destination.ip':
      return listsHold(world, values, notValues, (block) => inBlock(block, target.address));
    case 'destination.port':
      return listsHold(world, values, notValues, (port) => port === String(target.port));
  }
  const name = /\[(.*)\]/.exec(key)![1]!.toLowerCase();
  if (name === 'host')
    return operationHolds({ hosts: values, notHosts: notValues } as AuthorizationOperation, world);
  if (request === null) return action === 'DENY';
  const folded = (text: string): string => text.replaceAll('_', '-');
  const sent = (same: (field: string) => boolean): string[] =>
    request.fields.filter((_, i) => i % 2 === 1 && same(request.fields[i - 1]!));
  const readings = [
    sent((field) => field === name),
    sent((field) => folded(field) === folded(name)),
  ];
  const is = (value: string): boolean =>
    (values === undefined || values.some((one) => textIs(one, value))) &&
    !notValues?.some((one) => textIs(one, value));
  const answers = readings.map((lines) => {
    if (lines.length === 0) return values === undefined;
    const joined = lines.join(', ');
    if (action === 'ALLOW') return [...lines, joined].every(is);
    const items = joined.includes(',') ? joined.split(',').map((item) => item.trim()) : [];
    return [...lines, joined, ...items].some(is);
  });
  return action === 'ALLOW' ? !answers.includes(false) : answers.includes(true);
}

function textIs(pattern: string, text: string): boolean {
  if (pattern.endsWith('*')) return text.startsWith(pattern.slice(0, -1));
  if (pattern.startsWith('*')) return text.endsWith(pattern.slice(1));
  return text === pattern;
}

/** By binary digits. IPv4, and IPv6 with all groups written out. */
function inBlock(block: string, address: string): boolean {
  const [network = '', length] = block.split('/');
  const [ours, theirs] = [bitsOf(address), bitsOf(network)];
  if (ours.length !== theirs.length) return false;
  return ours.slice(0, Number(length ?? 128)) === theirs.slice(0, Number(length ?? 128));
}

function bitsOf(address: string): string {
  if (!address.includes(':'))
    return address
      .split('.')
      .map((part) => Number(part).toString(2).padStart(8, '0'))
      .join('');
  return address
    .split(':')
    .map((part) => parseInt(part, 16).toString(2).padStart(16, '0'))
    .join('');
}

function hostOf(request: HttpRequest | null): { name: string; port: string } | undefined {
  if (request === null || !/^[a-z0-9.-]+(:[0-9]*)?$/i.test(request.authority)) return undefined;
  const [name = '', port = ''] = request.authority.toLowerCase().split(':');
  return { name: name.replace(/\.$/, ''), port: port === '' ? '80' : String(Number(port)) };
}

function hostIs(pattern: string, host: { name: string; port: string }): boolean {
  const [name = '', port = ''] = pattern.toLowerCase().split(':');
  return textIs(name.replace(/\.$/, ''), host.name) && (port === '' || port === host.port);
}

function pathIs(path: AuthorizationPath, reading: string): boolean {
  if ('exact' in path) return reading === normalPath(path.exact);
  if ('suffix' in path)
    return (
      elements(reading)
        .slice(-elements(normalPath(path.suffix)).length)
        .join('') === normalPath(path.suffix)
    );
  const segments = reading.startsWith('/') ? reading.slice(1).split('/') : [];
  if ('template' in path) return templateIs(path.template.slice(1).split('/'), segments);
  const prefix = normalPath(path.prefix).replace(/\/$/, '').slice(1).split('/');
  return path.prefix === '/' || prefix.every((segment, i) => segments[i] === segment);
}

function elements(path: string): string[] {
  return path.match(/%..|[^%]/g) ?? [];
}

function templateIs(template: string[], segments: string[]): boolean {
  const [first, ...rest] = template;
  if (first === undefined) return segments.length === 0;
  if (first === '{**}')
    return (
      templateIs(rest, segments) || (segments.length > 0 && templateIs(template, segments.slice(1)))
    );
  const [segment] = segments;
  if (segment === undefined) return false;
  return (
    (first === '{*}' ? segment !== '' : segment === normalPath(first)) &&
    templateIs(rest, segments.slice(1))
  );
}
