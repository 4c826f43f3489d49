// A description in words for a terminal. Pure.

import { hanging, type Style } from '../style.ts';
import { counted } from './units.ts';
import type {
  PodDescription,
  PolicyDescription,
  PortDescription,
  ServiceDescription,
} from './describe.ts';

export function serviceText(described: ServiceDescription, style: Style): string[] {
  const { title, addresses, ports, policies, pods } = described;
  const where = addresses.length === 0 ? 'headless' : addresses.join(', ');
  return [
    `${style.bold(title)}  ${where}`,
    ...policies.flatMap((policy) => policyLines(policy, style)),
    ...ports.flatMap((port) => ['', ...portLines(port, style)]),
    ...pods.flatMap((pod) => ['', ...podLines(pod, style)]),
  ];
}

export function podText(described: PodDescription, style: Style): string[] {
  const { services } = described;
  const lines = podLines(described, style);
  return services.length === 0 ? lines : [...lines, ...row('Services', services.join(', '))];
}

function portLines(port: PortDescription, style: Style): string[] {
  const { ports, protocol, routes, connections, settings, endpoints } = port;
  const declared = protocol === 'auto' ? 'protocol found from the first bytes' : protocol;
  const head = style.bold(`${ports.length === 1 ? 'Port' : 'Ports'} ${ports.join(', ')}`);
  return [
    `${head}: ${declared}`,
    ...routes.flatMap(({ name: route, matches, does }) => [
      ...hanging('  ', `${route}: ${matches}`, 2),
      ...does.flatMap((what) => hanging('    → ', what, 6)),
    ]),
    ...(connections.length === 0
      ? []
      : [routes.length === 0 ? '  every connection' : '  connections that are no HTTP']),
    ...connections.flatMap((what) => hanging('    → ', what, 6)),
    ...settings.flatMap((one) => hanging('  ', one, 2)),
    ...(endpoints.length === 0 ? [style.yellow('  no endpoint is ready')] : []),
    ...endpoints.map(({ workload, pods, meshed }) => {
      const how = meshed ? 'mutual TLS' : style.yellow('plaintext');
      return `  ${counted(pods, 'endpoint')} of ${workload}, by ${how}`;
    }),
  ];
}

function podLines(pod: PodDescription, style: Style): string[] {
  const { title, pods, identity, unmeshed, ports, callers, policies, rateLimits, settings } = pod;
  const head = `${style.bold(title)}${title.startsWith('Pod ') ? '' : `  ${counted(pods, 'pod')}`}`;
  if (unmeshed !== '') return [head, style.yellow(`  no sidecar: ${unmeshed}`)];
  return [
    head,
    ...row('Identity', identity),
    ...row('mTLS', modeWords(ports)),
    ...row('Callers', callers),
    ...policies.flatMap((policy) => policyLines(policy, style)),
    ...rateLimits.flatMap((one) => row('Limit', one)),
    ...settings.flatMap(({ about, says }) => row(about, says)),
  ];
}

/** `STRICT at every port (Mesh default)`; ports that differ stand apart. */
export function modeWords(ports: PodDescription['ports']): string {
  const groups = Map.groupBy(ports, ({ mode, decidedBy }) => `${mode} (${decidedBy})`);
  const parts = [...groups].map(([what, some]) => {
    const numbers = some.map(({ port }) => (port === 'other' ? 'all others' : port));
    const space = what.indexOf(' ');
    const where = groups.size === 1 ? 'every port' : numbers.join(', ');
    return `${what.slice(0, space)} at ${where}${what.slice(space)}`;
  });
  return parts.join('; ');
}

/** Of one policy; all of them: -o json. */
const mostRules = 20;

function policyLines({ name, says, rules, problems }: PolicyDescription, style: Style): string[] {
  const more = rules.length - mostRules;
  const lines = [
    ...hanging('  ', `${name}: ${says}`, 2),
    ...rules.slice(0, mostRules).flatMap((one) => hanging('    - ', one, 6)),
    ...(more > 0 ? [`    and ${counted(more, 'rule')} more (all of them: -o json)`] : []),
  ];
  return [...lines, ...problems.flatMap((one) => hanging('    ! ', one, 6).map(style.yellow))];
}

function row(label: string, text: string): string[] {
  return hanging(`  ${label}`, text, 14);
}
