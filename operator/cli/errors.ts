// The ways in which a command can end, each with its exit code, and the errors that lead to them. Scripts
// rely on the codes: docs/explain.md lists them.

export const exitCodes = {
  /** Done; for `explain`: the call is allowed. */
  ok: 0,
  /** An expectation was not met, or something is not as it should be. */
  mismatch: 1,
  /** The command line, a file or a name in it is wrong. */
  badInput: 2,
  /** `explain`: the call is refused, by some of the pods at least. */
  denied: 3,
  /** The cluster cannot be reached, or does not let this user read what is needed. */
  noCluster: 4,
  /** A defect of the tool (sysexits.h, EX_SOFTWARE). */
  defect: 70,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const cliErrors = {
  Usage: { exitCode: exitCodes.badInput, hint: 'see --help' },
  BadInput: { exitCode: exitCodes.badInput, hint: '' },
  NotFound: { exitCode: exitCodes.badInput, hint: '' },
  NoCluster: {
    exitCode: exitCodes.noCluster,
    hint: 'does `kubectl version` work? name another cluster with --kubeconfig or --context',
  },
  NoOperator: {
    exitCode: exitCodes.noCluster,
    hint: 'may you create pods/portforward in tsmesh-system? (ClusterRole tsmesh-console); tsmesh check says more',
  },
  OldOperator: {
    exitCode: exitCodes.noCluster,
    hint: 'upgrade the operator, or use the tool of its version (tsmesh check says which)',
  },
  Forbidden: {
    exitCode: exitCodes.noCluster,
    hint: 'ask for the right, or run it as somebody who has it (docs/command-line.md has the roles)',
  },
} as const;

export type CliErrorCode = keyof typeof cliErrors;

/** What the user is told instead of an answer: one line each. */
export class CliError extends Error {
  readonly code: CliErrorCode;
  readonly exitCode: ExitCode;
  readonly hint: string;
  /** Further lines: one for each place that is wrong. */
  readonly details: readonly string[];
  constructor(code: CliErrorCode, message: string, rest: CliErrorDetails = {}) {
    super(message);
    this.name = 'CliError';
    this.code = code;
    this.exitCode = cliErrors[code].exitCode;
    this.hint = rest.hint ?? cliErrors[code].hint;
    this.details = rest.details ?? [];
  }
}

interface CliErrorDetails {
  hint?: string;
  details?: readonly string[];
}
