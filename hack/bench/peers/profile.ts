// Where the sidecar's CPU time goes, from a profile that Node wrote (--cpu-prof). Pure but for the reading.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What this needs of V8's format: nodes by id, and which node was on top at each sample. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

export interface SelfTime {
  readonly name: string;
  /** Of the time that was not idle. */
  readonly share: number;
}

/** The functions that used most themselves, without what they called; idle time does not count. */
export function selfTimes({ nodes, samples, timeDeltas }: CpuProfile, count: number): SelfTime[] {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const times = new Map<string, number>();
  let total = 0;
  samples.forEach((id, index) => {
    const name = names.get(id) ?? '(unknown)';
    if (name === '(idle)') return;
    const time = timeDeltas[index] ?? 0;
    times.set(name, (times.get(name) ?? 0) + time);
    total += time;
  });
  return [...times]
    .sort(([, a], [, b]) => b - a)
    .slice(0, count)
    .map(([name, time]) => ({ name, share: time / total }));
}

function nameOf({ functionName, lineNumber }: CpuProfile['nodes'][number]['callFrame']): string {
  return functionName === '' ? `(anonymous, line ${lineNumber + 1})` : functionName;
}

/** In words, for the profiles in a folder. */
export function profileWords(folder: string): string {
  if (!existsSync(folder)) return '';
  const files = readdirSync(folder).filter((name) => name.endsWith('.cpuprofile'));
  return files
    .map((name) => {
      const profile = JSON.parse(readFileSync(join(folder, name), 'utf8')) as CpuProfile;
      const lines = selfTimes(profile, 30).map(
        ({ name: own, share }) => `${(share * 100).toFixed(1).padStart(6)} %  ${own}`,
      );
      return [`${join(folder, name)}: self time`, ...lines].join('\n');
    })
    .join('\n\n');
}
