// kubectl for the tools in hack/: one function per cluster, words in, text out.
import { mustRun } from './command.ts';

/** Runs kubectl with these arguments; rejects with kubectl's own words. */
export type Kubectl = (args: readonly string[], stdin?: string) => Promise<string>;

export function kubectlFor(program: string, kubeconfig: string): Kubectl {
  return (args, stdin) =>
    mustRun(
      program,
      ['--kubeconfig', kubeconfig, ...args],
      stdin === undefined ? {} : { stdin: { text: stdin } },
    );
}
