// The programs that the comparison runs, installed on first use.
import { copyFileSync, existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bundle } from '../../images/bundle.ts';
import { repository } from '../../lib/paths.ts';
import { ensureDebianPrograms, ensureEnvoy, ensureGoProgram } from '../../tools/peers.ts';

export interface Tools {
  readonly envoy: string;
  readonly haproxy: string;
  readonly nginx: string;
  readonly wrk: string;
  readonly h2load: string;
  readonly fortio: string;
}

export async function ensureTools(): Promise<Tools> {
  const debian = await ensureDebianPrograms(['haproxy', 'nginx', 'wrk', 'h2load']);
  const [haproxy, nginx, wrk, h2load] = debian as [string, string, string, string];
  const envoy = await ensureEnvoy();
  const fortio = await ensureGoProgram('fortio');
  copyNode();
  return { envoy, haproxy, nginx, wrk, h2load, fortio };
}

/** Where the sidecar's bundle is, as the image has it. */
export const shippedBundle = join(repository, 'dist/proxy/main.mjs');

/**
 * Node for the sidecars, a file of its own: this process and the load's programs would share the pages of
 * theirs, and their PSS would look smaller than Envoy's, which shares with nothing but its pair.
 */
export const sidecarNode = join(repository, 'dist/bench/node');

/** Makes it from the sources. */
export async function makeBundle(): Promise<void> {
  await bundle('proxy/main.ts', 'proxy');
}

function copyNode(): void {
  const size = statSync(process.execPath).size;
  if (existsSync(sidecarNode) && statSync(sidecarNode).size === size) return;
  mkdirSync(dirname(sidecarNode), { recursive: true });
  copyFileSync(process.execPath, `${sidecarNode}.${process.pid}`);
  renameSync(`${sidecarNode}.${process.pid}`, sidecarNode);
}
