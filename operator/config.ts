// The operator's own settings: from environment variables, checked, with messages that name the
// variable. Reading the environment itself is main.ts's.

import { Ajv } from 'ajv';
import { operatorPorts, systemNamespace } from '../proxy/api/constants.ts';

export interface OperatorConfig {
  podName: string;
  podIp: string;
  namespace: string;
  proxyImage: string;
  initImage: string;
  logLevel: 'error' | 'warn' | 'info' | 'debug';
  /** A file, for development; null: the cluster that the operator runs in. */
  kubeconfig: string | null;
  ports: { webhook: number; discovery: number; health: number; console: number };
  /** `host` of the operator's Service for sidecars; null: read from the Service. */
  discoveryHost: string | null;
  /** File of the CA whose client certificates the webhooks demand; null: they take whoever comes. */
  webhookClientCa: string | null;
}

export type ConfigResult = { ok: true; config: OperatorConfig } | { ok: false; problems: string[] };

type Environment = Record<string, string | undefined>;

interface Setting {
  name: string;
  schema: object;
  /** Undefined: it must be given. */
  fallback: string | null | undefined;
  valid: string;
}

const text = { type: 'string', minLength: 1 };
const image = { type: 'string', pattern: '^[a-zA-Z0-9][a-zA-Z0-9./:_@-]*$' };
const upTo65535 = '0|[1-9]\\d{0,3}|[1-5]\\d{4}|6[0-4]\\d{3}|65[0-4]\\d{2}|655[0-2]\\d|6553[0-5]';
const port = { type: 'string', pattern: `^(${upTo65535})$` };
const levels = ['error', 'warn', 'info', 'debug'];

/** Every variable that the operator reads; docs are made from it. */
export const operatorSettings = {
  podName: { name: 'POD_NAME', schema: text, fallback: undefined, valid: 'the name of this pod' },
  podIp: { name: 'POD_IP', schema: text, fallback: undefined, valid: 'the address of this pod' },
  namespace: {
    name: 'POD_NAMESPACE',
    schema: { const: systemNamespace },
    fallback: systemNamespace,
    valid: `${systemNamespace}, the only namespace it runs in`,
  },
  proxyImage: {
    name: 'TSMESH_PROXY_IMAGE',
    schema: image,
    fallback: undefined,
    valid: 'the image of the sidecar, such as tsmesh/proxy:0.1.0',
  },
  initImage: {
    name: 'TSMESH_INIT_IMAGE',
    schema: image,
    fallback: undefined,
    valid: 'the image of the init container, such as tsmesh/init:0.1.0',
  },
  logLevel: {
    name: 'TSMESH_LOG_LEVEL',
    schema: { enum: levels },
    fallback: 'info',
    valid: levels.join(', '),
  },
  kubeconfig: {
    name: 'TSMESH_KUBECONFIG',
    schema: text,
    fallback: null,
    valid: 'a kubeconfig file, for running outside of the cluster',
  },
  discoveryHost: {
    name: 'TSMESH_DISCOVERY_HOST',
    schema: text,
    fallback: null,
    valid: "the address at which sidecars find the operator; default: its Service's ClusterIP",
  },
  webhookClientCa: {
    name: 'TSMESH_WEBHOOK_CLIENT_CA',
    schema: text,
    fallback: null,
    valid: 'a PEM file: the CA of the client certificate that the API server shows to webhooks',
  },
  webhookPort: {
    name: 'TSMESH_WEBHOOK_PORT',
    schema: port,
    fallback: String(operatorPorts.webhook),
    valid: 'a port from 0 (any) to 65535',
  },
  discoveryPort: {
    name: 'TSMESH_DISCOVERY_PORT',
    schema: port,
    fallback: String(operatorPorts.discovery),
    valid: 'a port from 0 (any) to 65535',
  },
  healthPort: {
    name: 'TSMESH_HEALTH_PORT',
    schema: port,
    fallback: String(operatorPorts.health),
    valid: 'a port from 0 (any) to 65535',
  },
  consolePort: {
    name: 'TSMESH_CONSOLE_PORT',
    schema: port,
    fallback: String(operatorPorts.console),
    valid: 'a port from 0 (any) to 65535',
  },
} as const satisfies Record<string, Setting>;

export function readConfig(environment: Environment): ConfigResult {
  const ajv = new Ajv();
  const values: Record<string, string | null> = {};
  const problems: string[] = [];
  for (const [field, setting] of Object.entries<Setting>(operatorSettings)) {
    const given = environment[setting.name] ?? setting.fallback;
    if (given === undefined) {
      problems.push(`${setting.name} is not set; it must be ${setting.valid}`);
    } else if (given !== null && !isValid(ajv, setting.schema, given)) {
      problems.push(`${setting.name}: "${given}" is not valid; it must be ${setting.valid}`);
    } else {
      values[field] = given;
    }
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, config: assemble(values) };
}

function isValid(ajv: Ajv, schema: object, value: string): boolean {
  return ajv.validate(schema, value) as boolean;
}

function assemble(values: Record<string, string | null>): OperatorConfig {
  const { webhookPort, discoveryPort, healthPort, consolePort, ...rest } = values;
  const ports = {
    webhook: Number(webhookPort),
    discovery: Number(discoveryPort),
    health: Number(healthPort),
    console: Number(consolePort),
  };
  return { ...(rest as unknown as Omit<OperatorConfig, 'ports'>), ports };
}
