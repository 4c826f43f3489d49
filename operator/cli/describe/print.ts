// A description in words for a terminal. Pure.

import { hanging, type Style } from '../style.ts';
import { counted } from './words.ts';
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
  const { ports, protocol, routes, settings, endpoints } = port;
  const declared = protocol === 'auto' ? 'protocol found from the first bytes' : protocol;
  const head = style.bold(`${ports.length === 1 ? 'Port' : 'Ports'} ${ports.join(', ')}`);
  return [
    `${head}: ${declared}`,
    ...routes.flatMap(({ name: route, matches, does }) => [
      ...hanging('  ', `${route}: ${matches}`, 2),
      ...does.flatMap((what) => hanging('    → ', what, 6)),
    ]),
    ...settings.flatMap((one) => hanging('  ', one, 2)),
    ...(endpoints.length === 0 ? [style.yellow('  no endpoint is ready')] : []),
    ...endpoints.map(({ workload, pods, meshed }) => {
      const how = meshed ? 'mutual TLS' : style.yellow('plaintext');
      return `  ${counted(pods, 'endpoint')} of ${workload}, by ${how}`;
    }),
  ];
}

function podLines(pod: PodDescription, style: Style): string[] {
  const { title, pods, identity, unmeshed, ports, policies } = pod;
  const head = `${style.bold(title)}  ${counted(pods, 'pod')}`;
  if (unmeshed !== '') return [head, style.yellow(`  no sidecar: ${unmeshed}`)];
  return [
    head,
    ...row('Identity', identity),
    ...row('mTLS', modeWords(ports)),
    ...(policies.some(({ name }) => name.startsWith('Authorization'))
      ? []
      : row('Callers', 'no AuthorizationPolicy: everyone whom mTLS lets in')),
    ...policies.flatMap((policy) => policyLines(policy, style)),
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

function policyLines({ name, says, problems }: PolicyDescription, style: Style): string[] {
  const lines = hanging('  ', `${name}: ${says}`, 2);
  return [...lines, ...problems.flatMap((one) => hanging('    ! ', one, 6).map(style.yellow))];
}

function row(label: string, text: string): string[] {
  return hanging(`  ${label}`, text, 12);
}
