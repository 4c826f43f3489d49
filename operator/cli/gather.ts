// What a question needs of files, of the cluster, or of both, as one view. Reads and checks; decides nothing.

import { CliError } from './errors.ts';
import type { Scene } from './explain/judge.ts';
import type { Call } from './explain/question.ts';
import { checkObjects } from './files/check.ts';
import { readDocuments } from './files/documents.ts';
import { readFiles } from './files/read.ts';
import { openCluster } from './live.ts';
import type { FileObject } from './objects.ts';
import { clusterOf } from './world-view.ts';
import type { World } from './world.ts';

export interface Sources {
  file?: string[];
  live?: boolean;
  namespace?: string;
  kubeconfig?: string;
  context?: string;
}

export interface Gathered {
  scene: Scene;
  /** Of names that say none. */
  namespace: string;
}

/** `calls` says, given the namespace of names that say none, what will be asked. */
export async function gather(
  sources: Sources,
  world: World,
  calls: (namespace: string) => readonly Call[],
): Promise<Gathered> {
  const fromFiles = sources.file !== undefined;
  if (fromFiles && sources.live !== true) {
    const namespace = sources.namespace ?? 'default';
    calls(namespace);
    const { objects: files } = await readManifests(sources.file ?? [], namespace, world);
    return { scene: clusterOf(files, null, world.clock), namespace };
  }
  const cluster = openCluster(sources, world);
  try {
    const namespace = sources.namespace ?? cluster.namespace;
    const wanted = namespacesOf(calls(namespace));
    const files = fromFiles
      ? (await readManifests(sources.file ?? [], namespace, world)).objects
      : [];
    const { objects, notes } = await cluster.read(wanted).catch(withoutCluster);
    const made = clusterOf(files, objects, world.clock);
    return { scene: { ...made, notes: [...notes, ...made.notes] }, namespace };
  } finally {
    cluster.close();
  }
}

/** Files answer where a cluster does not. */
function withoutCluster(error: unknown): never {
  if (!(error instanceof CliError)) throw error;
  const { code, message, details } = error;
  throw new CliError(code, message, { details, hint: `${error.hint}; or ask from files with -f` });
}

function namespacesOf(calls: readonly Call[]): string[] {
  const names = calls.flatMap(({ from, to }) => [from?.namespace, to.namespace]);
  return [...new Set(names.filter((name) => name !== undefined))].toSorted();
}

/** Throws a CliError of code BadInput with every fault of every file. */
export async function readManifests(
  paths: readonly string[],
  namespace: string,
  world: World,
): Promise<{ objects: FileObject[]; ignored: string[] }> {
  const { objects, faults } = readDocuments(await readFiles(paths, world), namespace);
  const checked = checkObjects(objects);
  const all = [...faults, ...checked.faults];
  if (all.length > 0) {
    const count = all.length === 1 ? 'one fault' : `${all.length} faults`;
    throw new CliError('BadInput', `${count} in the files (file:document: object: field: what)`, {
      details: all,
    });
  }
  for (const warning of checked.warnings) world.err(`warning: ${warning}`);
  return { objects: checked.objects, ignored: checked.ignored };
}
