// The command line of `npm run bench -- peers`. Pure.
import { parseArgs } from 'node:util';

export interface Options {
  /** Undefined: as each load has it. */
  readonly rounds: number | undefined;
  readonly seconds: number | undefined;
  /** Loads whose name contains one of these; empty: all. */
  readonly only: readonly string[];
  /** Peers whose name begins with one of these; `tsmesh@FILE` is another bundle. Empty: all. */
  readonly peers: readonly string[];
  /** Profiles the sidecars of tsmesh meanwhile, and says what they did. */
  readonly profile: boolean;
  /** Leaves out loads that have their results already. */
  readonly resume: boolean;
  /** Writes docs/performance.md and the figures from the results of whole runs; `quick`: of quick ones. */
  readonly write: 'whole' | 'quick' | null;
}

export const peersUsage = `npm run bench -- peers [flags]
  --only a,b      loads of these names, or whose name contains it (get-32, get, rate, grpc, memory …)
  --peers a,b     tsmesh, envoy, envoy-h1, envoy-h2, haproxy, nginx; tsmesh@dist/other.mjs is another bundle
  --rounds N      instead of 5
  --seconds N     of one round, instead of each load's own
  --profile       CPU profiles of tsmesh's sidecars (dist/bench/profiles), and their largest self times
  --resume        leave out the loads that a whole run has measured already
  --write whole   measure nothing; put the results of whole runs into docs/performance.md and docs/figures
  --write quick   the same with those of runs of all peers that had other --rounds or --seconds`;

/** The caller's mistake, said with the usage. */
export class UsageError extends Error {
  override name = 'UsageError';
  constructor(problem: string) {
    super(`${problem}\n${peersUsage}`);
  }
}

/** Throws a UsageError for what is not a flag of it. */
export function parseOptions(args: readonly string[]): Options {
  const values = parse(args);
  return {
    rounds: count('--rounds', values.rounds),
    seconds: count('--seconds', values.seconds),
    only: list(values.only),
    peers: list(values.peers),
    profile: values.profile,
    resume: values.resume,
    write: source(values.write),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: flags }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

const flags = {
  only: { type: 'string' },
  peers: { type: 'string' },
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  profile: { type: 'boolean', default: false },
  resume: { type: 'boolean', default: false },
  write: { type: 'string' },
} as const;

function source(text: string | undefined): Options['write'] {
  if (text === undefined || text === 'whole' || text === 'quick') return text ?? null;
  throw new UsageError(`--write ${text}: must be whole or quick`);
}

/** Of these names those that are wanted: one in full, or all that contain it. Throws a UsageError for none. */
export function selectNames(names: readonly string[], wanted: readonly string[]): string[] {
  if (wanted.length === 0) return [...names];
  const found = wanted.flatMap((part) => {
    if (names.includes(part)) return [part];
    const some = names.filter((name) => name.includes(part));
    if (some.length > 0) return some;
    throw new UsageError(`--only ${part}: no such load; there are ${names.join(', ')}`);
  });
  return names.filter((name) => found.includes(name));
}

/** A run whose results may stand in the documents: all peers, all rounds, the loads' own length. */
export function isWhole({ rounds, seconds, peers, profile }: Options): boolean {
  if (profile) return false;
  return peers.length === 0 && seconds === undefined && (rounds === undefined || rounds >= 5);
}

function count(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new UsageError(`${flag} ${text}: must be a whole number from 1 on`);
  }
  return value;
}

function list(text: string | undefined): string[] {
  return (text ?? '').split(',').filter((part) => part !== '');
}
