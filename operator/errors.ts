// The operator's own ways to fail at the start, each with what to do about it. What the API server says
// is in operator/resources (ApiError), what admission refuses in operator/inject.

export const startErrors = {
  InvalidConfig: {
    exitCode: 2,
    hint: 'correct the environment of the Deployment tsmesh-system/tsmesh-operator',
  },
  NoCluster: {
    exitCode: 3,
    hint: 'run it in a cluster with its service account, or name a kubeconfig in TSMESH_KUBECONFIG',
  },
  PortInUse: {
    exitCode: 4,
    hint: 'another process holds a port of the operator; see TSMESH_*_PORT',
  },
  NoClientCa: {
    exitCode: 5,
    hint: 'TSMESH_WEBHOOK_CLIENT_CA must name a PEM file in the operator’s container; see docs/threat-model.md',
  },
  Failed: { exitCode: 1, hint: 'see the message; the Deployment starts it again' },
} as const;

export type StartErrorCode = keyof typeof startErrors;

export class StartError extends Error {
  readonly code: StartErrorCode;
  readonly hint: string;
  readonly exitCode: number;
  constructor(code: StartErrorCode, message: string) {
    super(message);
    this.name = 'StartError';
    this.code = code;
    this.hint = startErrors[code].hint;
    this.exitCode = startErrors[code].exitCode;
  }
}
