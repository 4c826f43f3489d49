// Puts the capture rules in force: nft first, legacy where that fails, both families, all of a table or
// nothing. It makes no rule itself.

import type { CaptureSettings } from '../api/bootstrap.ts';
import { captureRules, type Family } from './rules.ts';

export interface CommandResult {
  /** Null: the program could not be started. */
  status: number | null;
  stdout: string;
  stderr: string;
}

export interface RunnerDeps {
  run(program: string, args: readonly string[], input: string): CommandResult;
  /** Content of /proc/net/if_inet6; null where the kernel has no IPv6. */
  readIpv6Addresses(): string | null;
  log(message: string): void;
}

export const backends = ['nft', 'legacy'] as const;
export type Backend = (typeof backends)[number];

export class CaptureError extends Error {
  override name = 'CaptureError';
}

const programs: Record<Family, string> = { ipv4: 'iptables', ipv6: 'ip6tables' };

/** Answers what was done, a line for each family. Throws a CaptureError that says what was tried and what each attempt said. */
export function installCapture(settings: CaptureSettings, deps: RunnerDeps): string[] {
  const ipv4 = installFamily(settings, 'ipv4', deps);
  if (!ipv4.done) throw new CaptureError(`IPv4 cannot be captured: ${ipv4.says}`);
  const ipv6 = installFamily(settings, 'ipv6', deps);
  if (!ipv6.done && hasIpv6(deps.readIpv6Addresses())) {
    throw new CaptureError(
      'this pod has an IPv6 address, but its traffic cannot be captured and would bypass the mesh: ' +
        `${ipv6.says}. Load the kernel modules for ip6tables nat on the node, or give the pod no IPv6`,
    );
  }
  const without = 'IPv6 is not captured: the pod has no IPv6 address';
  const lines = [ipv4.says, ipv6.done ? ipv6.says : without];
  for (const line of lines) deps.log(line);
  return lines;
}

/** What is in force, or what each backend said. */
function installFamily(
  settings: CaptureSettings,
  family: Family,
  deps: RunnerDeps,
): { done: boolean; says: string } {
  const failures: string[] = [];
  for (const backend of backends) {
    const failure = installWith(backend, settings, family, deps);
    if (failure === null)
      return { done: true, says: `${family} captured with iptables (${backend})` };
    failures.push(`${backend}: ${failure}`);
  }
  return { done: false, says: failures.join('; ') };
}

function installWith(
  backend: Backend,
  settings: CaptureSettings,
  family: Family,
  deps: RunnerDeps,
): string | null {
  const program = `${programs[family]}-${backend}`;
  const saved = deps.run(`${program}-save`, [], '');
  if (saved.status !== 0) return reasonOf(saved, `${program}-save`);
  const text = captureRules(settings, family, saved.stdout);
  const restored = deps.run(`${program}-restore`, ['--noflush'], text);
  return restored.status === 0 ? null : reasonOf(restored, `${program}-restore`);
}

function reasonOf(result: CommandResult, program: string): string {
  const words = result.stderr.trim().replaceAll('\n', ' ');
  return result.status === null
    ? `${program} cannot be run ${words}`
    : words || `${program} failed`;
}

/** Any address but those of the loopback device (last column). */
function hasIpv6(addresses: string | null): boolean {
  const lines = (addresses ?? '').split('\n').filter((line) => line.trim() !== '');
  return lines.some((line) => line.trim().split(/\s+/).at(-1) !== 'lo');
}
