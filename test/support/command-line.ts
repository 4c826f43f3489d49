// `kubectl tsmesh` as its users have it: the bundled file, found by kubectl, with their rights.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun, run, type CommandResult } from '../../hack/lib/command.ts';
import { repository } from '../../hack/lib/paths.ts';
import { cluster, kubectl } from './kubectl.ts';

/** Once before `tsmesh`. */
export async function buildCommandLine(): Promise<void> {
  await mustRun(process.execPath, [join(repository, 'hack/cli.ts')]);
}

/** Through kubectl, which finds the plugin by its name. */
export async function tsmesh(args: string[], kubeconfig?: string): Promise<CommandResult> {
  const running = await cluster();
  const path = [join(repository, 'dist/cli'), process.env['PATH']].join(':');
  const all = ['tsmesh', ...args, '--kubeconfig', kubeconfig ?? running.kubeconfig];
  return await run(running.kubectl, all, { env: { PATH: path } });
}

/** A kubeconfig in the folder for a new service account, which may do nothing yet. */
export async function kubeconfigOf(
  namespace: string,
  name: string,
  folder: string,
): Promise<string> {
  await kubectl('create', 'serviceaccount', name, '-n', namespace);
  const token = (await kubectl('create', 'token', name, '-n', namespace)).trim();
  const text = await kubectl('config', 'view', '--raw', '-o', 'json');
  const config = JSON.parse(text) as { users: { name: string; user: object }[] };
  const users = config.users.map((one) => ({ name: one.name, user: { token } }));
  const file = join(folder, name);
  writeFileSync(file, JSON.stringify({ ...config, users }));
  return file;
}
