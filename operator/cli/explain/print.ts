// An answer in words for a terminal: the verdict in the first line, then the way of the call from one side to
// the other. Pure.

import type { PolicyExplanation } from '../../../proxy/policy/authorization/explain.ts';
import { isInvented } from '../files/expand.ts';
import { hanging, type Style } from '../style.ts';
import type {
  Answer,
  AuthorizationAnswer,
  BackendAnswer,
  PlaceAnswer,
  RouteAnswer,
} from './answer.ts';
import { percent, refusalsOf } from './judge.ts';
import { byWords } from './refusal.ts';

const labels = { allowed: 'ALLOWED', denied: 'DENIED', mixed: 'PARTLY' } as const;
const indent = 9;

export function answerText(answer: Answer, style: Style): string {
  const { route } = answer;
  const lines = [
    ...headline(answer, style),
    '',
    ...entry('Caller', callerWords(answer)),
    ...(route === null ? [] : entry('Route', routeWords(route, answer))),
    ...(route?.backends ?? []).flatMap((one) => backendLines(one, style)),
    ...answer.notes.flatMap((note) => hanging(style.yellow('Note') + ' '.repeat(5), note, indent)),
  ];
  return lines.join('\n');
}

function headline(answer: Answer, style: Style): string[] {
  const { verdict, route } = answer;
  const paint = { allowed: style.green, denied: style.red, mixed: style.yellow }[verdict];
  const label = labels[verdict].padEnd(indent);
  const [first, ...rest] = hanging(label, `${callWords(answer)}${reasonWords(answer)}`, indent);
  const coloured = paint(label.trimEnd()) + first!.slice(label.trimEnd().length);
  const redirect = route?.redirect ?? null;
  const answered = route?.answered ?? null;
  const more =
    redirect === null
      ? []
      : entry('', `the caller is sent to ${redirect.location} (${redirect.status})`);
  if (answered !== null)
    more.push(...entry('', `the caller's own sidecar answers it (${answered.status})`));
  return [coloured, ...rest, ...more];
}

/** `Deployment shop/web may call Service shop/cart:80 with GET /items`. */
export function callWords(answer: Answer): string {
  const { from, to, request, verdict } = answer;
  const may = { allowed: 'may call', denied: 'may not call', mixed: 'may call, in part,' }[verdict];
  const what = request === null ? 'over TCP' : `with ${request.method} ${request.path}`;
  return `${from.label} ${may} ${to.label} ${what}`;
}

/** `: AuthorizationPolicy shop/cart, rule 0`; empty where nothing refuses. */
function reasonWords(answer: Answer): string {
  const refusals = refusalsOf(answer);
  if (refusals.length === 0) return '';
  return `: ${refusals.map(({ code, by }) => (by === '' ? code : `${by} (${code})`)).join('; ')}`;
}

function callerWords({ from }: Answer): string {
  const known = from.address !== '' && !isInvented(from.address);
  const where = known ? ` at ${from.address}` : '';
  if (from.identity === null) return `no sidecar, so plaintext without an identity${where}`;
  return `${from.identity}${where}`;
}

function routeWords(route: RouteAnswer, { from }: Answer): string {
  if (from.identity === null) return 'none: without a sidecar any ready pod is called';
  const name = route.name === '' ? `connections over TCP` : route.name;
  const limits = [
    ...(route.timeoutMs === null ? [] : [`timeout ${route.timeoutMs} ms`]),
    ...(route.retries === 0
      ? []
      : [`${route.retries} ${route.retries === 1 ? 'retry' : 'retries'}`]),
    ...route.changes,
  ];
  return limits.length === 0 ? name : `${name}: ${limits.join(', ')}`;
}

function entry(label: string, text: string): string[] {
  return hanging(label, text, indent);
}

function backendLines({ endpoints, share, places }: BackendAnswer, style: Style): string[] {
  const name = endpoints.startsWith('pod/') ? 'the pod itself' : endpoints;
  const head = share === 100 ? name : `${name} (${percent(share)} of the calls)`;
  return [...entry('To', head), ...places.flatMap((place) => placeLines(place, style))];
}

function placeLines(place: PlaceAnswer, style: Style): string[] {
  const { pods, workload, port } = place;
  const count = pods.length === 1 ? '' : `, ${pods.length} pods`;
  const mark = place.allowed ? style.green('✓') : style.red('✗');
  const title = `  ${mark} ${style.bold(workload)}, port ${port}${count}`;
  return [
    title,
    ...detail('mTLS', mtlsWords(place)),
    ...policyLines(place),
    ...place.rateLimits.flatMap((name) =>
      detail('limit', `counted by ${name}; what is beyond it is refused`),
    ),
    ...(place.refusal === null ? [] : detail('answer', answerWords(place.refusal))),
  ];
}

function detail(label: string, text: string): string[] {
  return hanging(`    ${label}`, text, 13);
}

function mtlsWords({ mtls, transport, unguarded, refusal }: PlaceAnswer): string {
  const how = transport === 'mtls' ? 'the call comes by mutual TLS' : 'the call comes in plaintext';
  if (unguarded !== '') return `nobody decides: ${unguarded}; ${how}`;
  if (mtls === null) return how;
  const refused = refusal?.code === 'mtls-required' ? ', which is refused' : '';
  return `${mtls.mode} by ${mtls.decidedBy}; ${how}${refused}`;
}

function answerWords({ message, status }: NonNullable<PlaceAnswer['refusal']>): string {
  return status === 0
    ? `the connection is reset; the sidecar logs: ${message}`
    : `${status} ${message}`;
}

function policyLines({ authorization }: PlaceAnswer): string[] {
  if (authorization === null) return [];
  const { readings, remarks, policies } = authorization;
  return [
    ...detail('rules', decisionWords(authorization)),
    ...(readings.length > 1 ? detail('', readingWords(readings)) : []),
    ...remarks.flatMap((remark) => detail('', remarkWords(remark))),
    ...policies.flatMap(policyWords),
  ];
}

function decisionWords({ reason, by }: AuthorizationAnswer): string {
  const who = by === null ? '' : byWords(by);
  switch (reason) {
    case 'no-policy':
      return 'no policy decides here: everything is allowed';
    case 'allow-rule':
      return `allowed by ${who}`;
    case 'deny-rule':
      return `denied by ${who}`;
    case 'no-allow-rule':
      return `no rule of an ALLOW policy allows it (${who})`;
    case 'ambiguous-path':
      return `apps may read this path in several ways, and ${who} refuses such paths`;
  }
}

function readingWords(readings: AuthorizationAnswer['readings']): string {
  const texts = readings.map((reading) => (reading === '' ? '(empty)' : reading));
  return `apps may read the path as ${texts.join(' or ')}`;
}

function remarkWords(remark: AuthorizationAnswer['remarks'][number]): string {
  const what = remark.kind === 'audit' ? 'audited' : 'dry run, would be denied';
  return `${what} by ${byWords(remark)}`;
}

/** Below each policy its rules, and why they do not match. */
function policyWords({ policy, action, dryRun, rules }: PolicyExplanation): string[] {
  const title = `${action} ${policy.replace('AuthorizationPolicy ', '')}${dryRun ? ' (dry run)' : ''}`;
  if (rules.length === 0) return hanging('', `${title}: has no rules, so it matches nothing`, 15);
  const others = rules.filter(({ matches }) => !matches);
  const left = new Set(others.slice(maxOthers));
  const shown = rules.filter((one) => !left.has(one));
  return [
    `${' '.repeat(15)}${title}`,
    ...shown.flatMap((one) => hanging(`${' '.repeat(17)}${one.rule}: `, ruleWords(one), 19)),
    ...(left.size === 0
      ? []
      : hanging('', `${left.size} more rules: no (all of them: -o json)`, 17)),
  ];
}

/** Rules of one policy that do not match: who looks for a reason reads no more. */
const maxOthers = 12;

function ruleWords({ matches, why, holdsFor }: PolicyExplanation['rules'][number]): string {
  if (matches) return 'matches';
  return holdsFor.length === 0 ? `no: ${why}` : `for some readings of the path only, no: ${why}`;
}
