// JSON Schemas of what enters a sidecar from outside: messages of the operator (their envelope),
// injection's settings, the local file. Data only; hack/generate.ts turns them into checking code
// ahead of time, so that the sidecar carries no schema compiler. Pushed resources are checked where
// they are prepared (proxy/state), one by one, so that a bad one is refused alone.

import { hookTokenPattern, maxConcurrency } from './bootstrap.ts';

type Schema = Record<string, unknown>;

/** Resources in one push or file: far above what a pod talks to. */
const maxResources = 100_000;
const maxListItems = 500;

const text: Schema = { type: 'string', maxLength: 4096 };
const name: Schema = { type: 'string', minLength: 1, maxLength: 512 };
const port: Schema = { type: 'integer', minimum: 1, maximum: 65535 };
const hookToken: Schema = { type: 'string', pattern: hookTokenPattern };
/** `address:port`, the address in brackets where it is IPv6. */
const addressAndPort: Schema = {
  type: 'string',
  pattern: '^(\\[[0-9A-Fa-f.:]+\\]|[0-9.]+):[0-9]{1,5}$',
};
/** RFC 9110 §5.5: no CR, LF or NUL. */
const headerValue: Schema = { type: 'string', pattern: '^[^\\r\\n\\u0000]*$', maxLength: 8192 };

function object(properties: Record<string, Schema>, optional: string[] = []): Schema {
  const required = Object.keys(properties).filter((key) => !optional.includes(key));
  return { type: 'object', properties, required };
}

/** Exactly one of the fields. */
function oneField(properties: Record<string, Schema>): Schema {
  return {
    type: 'object',
    properties,
    minProperties: 1,
    maxProperties: 1,
    additionalProperties: false,
  };
}

function list(items: Schema, maxItems = maxListItems): Schema {
  return { type: 'array', items, maxItems };
}

function oneOf(...values: readonly string[]): Schema {
  return { type: 'string', enum: [...values] };
}

/** The envelope of a push; its resources are checked one by one, so that a bad one is refused alone. */
const push = object({
  nonce: text,
  resources: list(object({ version: text, resource: { type: 'object' } }), maxResources),
  removed: list(name, maxResources),
});

const downMessage = oneField({ push, reconnect: { type: 'boolean', const: true } });

const check: Schema = {
  type: 'object',
  required: ['type', 'port'],
  discriminator: { propertyName: 'type' },
  oneOf: [
    object({
      type: { type: 'string', const: 'http' },
      scheme: oneOf('http', 'https'),
      host: text,
      port,
      path: text,
      headers: list(object({ name: { type: 'string', minLength: 1 }, value: headerValue })),
    }),
    object({ type: { type: 'string', const: 'tcp' }, host: text, port }),
    object({ type: { type: 'string', const: 'grpc' }, port, service: text }),
  ],
};

const probe = object({
  path: { type: 'string', pattern: '^/' },
  timeoutSeconds: { type: 'number', minimum: 0, maximum: 86_400 },
  check,
});

const logLevel = oneOf('error', 'warn', 'info', 'debug');

const concurrency: Schema = { type: 'integer', minimum: 1, maximum: maxConcurrency };

const appMetrics = object({ port, path: { type: 'string', pattern: '^/' } }, ['path']);

const bootstrap = object(
  {
    trustDomain: name,
    serviceAccount: name,
    operatorAddresses: { ...list({ type: 'string', pattern: '^.+:[0-9]{1,5}$' }), minItems: 1 },
    logLevel,
    gracePeriodSeconds: { type: 'number', minimum: 0 },
    hookToken,
    probes: list(probe),
    concurrency,
    appMetrics,
  },
  ['concurrency', 'appMetrics'],
);

const captureSettings: Schema = {
  ...object({
    excludeInboundPorts: list(port),
    excludeOutboundPorts: list(port),
    excludeOutboundCidrs: list({ type: 'string', pattern: '^[0-9A-Fa-f.:]+/[0-9]{1,3}$' }),
  }),
  additionalProperties: false,
};

const captureListener: Schema = {
  ...object({ listen: addressAndPort, destination: addressAndPort }, ['destination']),
  additionalProperties: false,
};

const localFile: Schema = {
  ...object(
    {
      resources: list({ type: 'object', required: ['type'] }, maxResources),
      outbound: list(captureListener),
      inbound: list(captureListener),
      health: addressAndPort,
      admin: name,
      identity: name,
      logLevel,
      gracePeriodSeconds: { type: 'number', minimum: 0, maximum: 86_400 },
      hookToken,
      probes: list(probe),
      concurrency,
      appMetrics,
    },
    [
      'outbound',
      'inbound',
      'health',
      'admin',
      'identity',
      'logLevel',
      'gracePeriodSeconds',
      'hookToken',
      'probes',
      'concurrency',
      'appMetrics',
    ],
  ),
  additionalProperties: false,
};

/** Each becomes a function of the same name in generated/validators.js. */
export const schemas = {
  downMessage,
  bootstrap,
  captureSettings,
  localFile,
} as const;
