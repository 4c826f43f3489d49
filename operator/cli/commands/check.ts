// `tsmesh check`: is the cluster fit for the mesh, and is the mesh well. Asks, judges by check/findings.ts, prints.

import { systemNamespace } from '../../../proxy/api/constants.ts';
import type { SidecarsAnswer } from '../../console/api.ts';
import {
  clusterOptions,
  commonOptions,
  optionHelp,
  readArguments,
  wantsJson,
  type OptionTable,
} from '../arguments.ts';
import { gatherFacts } from '../check/facts.ts';
import type { Finding } from '../check/finding.ts';
import { findingsOf } from '../check/findings.ts';
import type { Command } from '../command.ts';
import { askLeader } from '../console.ts';
import { CliError, exitCodes, type ExitCode } from '../errors.ts';
import { connect } from '../live.ts';
import { hanging, styleOf } from '../style.ts';
import type { World } from '../world.ts';
import packageJson from '../../../package.json' with { type: 'json' };

const { kubeconfig, context } = clusterOptions;
const options = { kubeconfig, context, ...commonOptions } as const satisfies OptionTable;

export const check: Command = {
  name: 'check',
  summary: 'is the cluster fit for the mesh, and is the mesh well',
  options,
  help: (program) => [
    `${program} check`,
    '',
    'Before an installation: the version, the nodes, the clocks, your rights. After it: the operator, its webhooks, the',
    `Mesh, every sidecar, and pods that could not redirect their traffic. It asks the operator in ${systemNamespace}.`,
    '',
    ...optionHelp(options),
    '',
    'Exit codes: 0 nothing is wrong (there may be warnings), 1 something is, 2 bad input, 4 the cluster cannot be reached, or',
    'something could not be checked.',
  ],
  async run(args, world) {
    const values = readArguments(args, options);
    const json = wantsJson(values.output);
    const client = connect(values, world);
    try {
      const facts = await gatherFacts(
        client,
        () => world.clock.wallTimeMs(),
        () => askLeader<SidecarsAnswer>(client, '/api/sidecars'),
      );
      if ('unread' in facts.server)
        throw new CliError('NoCluster', `cannot ask ${client.server}: ${facts.server.unread}`);
      const findings = findingsOf(facts, packageJson.version);
      if (json) world.out(JSON.stringify({ findings }, null, 2));
      else print(findings, world);
      return codeOf(findings);
    } finally {
      client.close();
    }
  },
};

function codeOf(findings: readonly Finding[]): ExitCode {
  if (findings.some(({ level }) => level === 'error')) return exitCodes.mismatch;
  return findings.some(({ level }) => level === 'unchecked') ? exitCodes.noCluster : exitCodes.ok;
}

function print(findings: readonly Finding[], world: World): void {
  const style = styleOf(world.colour);
  const { green, yellow, red } = style;
  const paints = { ok: green, warning: yellow, error: red, unchecked: yellow };
  const words = { ok: 'ok', warning: 'WARNING', error: 'ERROR', unchecked: 'UNKNOWN' };
  const width = Math.max(...findings.map((one) => one.check.length)) + 2;
  for (const { check: name, level, text, remedy } of findings) {
    const head = `${words[level].padEnd(9)}${name.padEnd(width)}`;
    for (const line of hanging(head, text)) world.out(paints[level](line));
    if (remedy === '') continue;
    for (const line of hanging(`${' '.repeat(head.length)}→ `, remedy)) world.out(style.dim(line));
  }
  const count = (level: Finding['level']) => findings.filter((one) => one.level === level).length;
  const unknown = count('unchecked') === 0 ? '' : `${count('unchecked')} not checked, `;
  world.out(
    `${count('error')} wrong, ${count('warning')} to look at, ${unknown}${count('ok')} well`,
  );
}
