// What the harness must know about a proxy: how a pair of it is configured and started, and when one is ready.
import type { Lane, PairPlan, Side } from './plan.ts';

export interface ProxyCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Ready when this answers 200, or when this port accepts. */
  readonly ready: { readonly url: string } | { readonly port: number };
}

export interface Peer {
  /** As in `--peers`, and in the raw results. */
  readonly name: string;
  readonly title: string;
  readonly lanes: readonly Lane[];
  /** Writes the configuration into the plan's folder. */
  command(side: Side, plan: PairPlan): ProxyCommand;
}

/** A pair's configuration, side by side with its own files. */
export function configPath(plan: PairPlan, name: string, extension: string): string {
  return `${plan.folder}/${name}.${extension}`;
}
