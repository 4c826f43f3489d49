// The sidecar's settings, from injection's environment or from a local file, checked and turned into
// one form. Pure: the caller reads environment and files.

import {
  environment,
  type AppMetrics,
  type Bootstrap,
  type RewrittenProbe,
} from './api/bootstrap.ts';
import { paths, ports } from './api/constants.ts';
import type { Hello } from './api/discovery.ts';
import type { Resource } from './api/resources.ts';
import type { SpiffeParts } from './api/spiffe.ts';
import {
  checkBootstrap,
  checkLocalFile,
  type Checked,
  type LocalListener,
} from './api/validate.ts';
import type { LogLevel } from './errors.ts';
import type { OriginalDestination } from './net/original-destination.ts';

export interface ListenerConfig {
  host: string;
  port: number;
  /** Where every connection of this listener goes; null: ask the kernel. */
  destination: OriginalDestination | null;
}

export type ConfigSource =
  | { type: 'operator'; addresses: string[]; pod: Hello['pod']; stateDirectory: string }
  | { type: 'file'; resources: Resource[] };

export interface Config {
  source: ConfigSource;
  /** What the certificate must say; null where nothing is known to compare with. */
  expectedIdentity: SpiffeParts | null;
  /** Null: no certificate, plain traffic only. */
  identityDirectory: string | null;
  outbound: ListenerConfig[];
  inbound: ListenerConfig[];
  health: ListenerConfig;
  adminPath: string | null;
  logLevel: LogLevel;
  gracePeriodMs: number;
  /** Part of the drain hooks' paths; null: there are no hooks. */
  hookToken: string | null;
  probes: RewrittenProbe[];
  /** Event loops that carry traffic on the same ports. */
  concurrency: number;
  /** Absent: none to add to the sidecar's own. */
  appMetrics?: AppMetrics;
}

export class ConfigError extends Error {
  override name = 'ConfigError';
}

export type Environment = Record<string, string | undefined>;

/** Kubernetes' own default of terminationGracePeriodSeconds. */
const defaultGracePeriodSeconds = 30;

/** Throws a ConfigError that names the variable. */
export function configFromEnvironment(env: Environment): Config {
  const bootstrap = parse(
    required(env, environment.bootstrap),
    environment.bootstrap,
    checkBootstrap,
  );
  const namespace = required(env, environment.podNamespace);
  const pod = {
    namespace,
    name: required(env, environment.podName),
    uid: required(env, environment.podUid),
    ips: required(env, environment.podIps).split(',').filter(Boolean),
  };
  const { operatorAddresses: addresses, trustDomain, serviceAccount } = bootstrap;
  return {
    source: { type: 'operator', addresses, pod, stateDirectory: paths.state },
    expectedIdentity: { trustDomain, namespace, serviceAccount },
    identityDirectory: paths.identity,
    outbound: [everywhere(ports.outboundCapture)],
    inbound: [everywhere(ports.inboundCapture)],
    health: everywhere(ports.health),
    adminPath: paths.admin,
    ...runtimeOf(bootstrap),
  };
}

/** `text`: the content of a local file, `path` its name for messages. Throws a ConfigError. */
export function configFromFile(text: string, path: string): Config {
  const file = parse(text, path, checkLocalFile);
  return {
    source: { type: 'file', resources: file.resources },
    expectedIdentity: identityOf(file.resources),
    identityDirectory: file.identity ?? null,
    outbound: (file.outbound ?? []).map(listenerOf),
    inbound: (file.inbound ?? []).map(listenerOf),
    health: listenerOf({ listen: file.health ?? '127.0.0.1:0' }),
    adminPath: file.admin ?? null,
    ...runtimeOf({
      logLevel: file.logLevel ?? 'info',
      gracePeriodSeconds: file.gracePeriodSeconds ?? defaultGracePeriodSeconds,
      hookToken: file.hookToken ?? null,
      probes: file.probes ?? [],
      ...(file.concurrency === undefined ? {} : { concurrency: file.concurrency }),
      ...(file.appMetrics === undefined ? {} : { appMetrics: file.appMetrics }),
    }),
  };
}

type Runtime = Pick<
  Config,
  'logLevel' | 'gracePeriodMs' | 'hookToken' | 'probes' | 'concurrency' | 'appMetrics'
>;

function runtimeOf(
  from: Pick<Config, 'logLevel' | 'hookToken' | 'probes'> &
    Pick<Bootstrap, 'gracePeriodSeconds' | 'concurrency' | 'appMetrics'>,
): Runtime {
  const { logLevel, gracePeriodSeconds, hookToken, probes, concurrency = 1, appMetrics } = from;
  const gracePeriodMs = gracePeriodSeconds * 1000;
  return {
    logLevel,
    gracePeriodMs,
    hookToken,
    probes,
    concurrency,
    ...(appMetrics === undefined ? {} : { appMetrics }),
  };
}

/** Both families, through one socket where the machine has IPv6. */
function everywhere(port: number): ListenerConfig {
  return { host: '::', port, destination: null };
}

function required(env: Environment, name: string): string {
  const value = env[name];
  if (value === undefined || value === '') {
    throw new ConfigError(
      `environment variable ${name} is missing; injection sets it, or set ` +
        `${environment.configFile} to run from a local file`,
    );
  }
  return value;
}

function parse<T>(text: string, where: string, check: (value: unknown) => Checked<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ConfigError(`${where} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  const checked = check(value);
  if (checked.ok) return checked.value;
  throw new ConfigError(`${where}: ${checked.fault.path || '/'} ${checked.fault.message}`);
}

function identityOf(resources: Resource[]): SpiffeParts | null {
  const workload = resources.find((resource) => resource.type === 'Workload');
  if (workload === undefined) return null;
  const { trustDomain, namespace, serviceAccount } = workload;
  return { trustDomain, namespace, serviceAccount };
}

function listenerOf(listener: LocalListener): ListenerConfig {
  const { address: host, port } = splitAddress(listener.listen);
  const { destination } = listener;
  return { host, port, destination: destination === undefined ? null : splitAddress(destination) };
}

/** `10.0.0.1:80` or `[::1]:80`; the schema has checked the form. Throws a ConfigError. */
export function splitAddress(text: string): OriginalDestination {
  const colon = text.lastIndexOf(':');
  const port = Number(text.slice(colon + 1));
  const address = text.slice(0, colon).replace(/^\[|\]$/g, '');
  if (colon <= 0 || !Number.isInteger(port) || port > 65535) {
    throw new ConfigError(`${text} is not an address and a port`);
  }
  return { address, port };
}
