// npm run bench -- peers: tsmesh beside Envoy, HAProxy and nginx, each doing the same job, in one run.
import { join, resolve } from 'node:path';
import { repository } from '../../lib/paths.ts';
import { step } from '../../lib/steps.ts';
import { bulkLoads } from './bulk-loads.ts';
import { writeDocument } from './document.ts';
import { envoy } from './envoy.ts';
import { grpcLoads } from './grpc-loads.ts';
import { haproxy } from './haproxy.ts';
import { connectionLoads } from './connection-loads.ts';
import {
  direct,
  endPair,
  inRounds,
  startPair,
  withStage,
  type Entrant,
  type Sample,
  type Stage,
  type Target,
} from './harness.ts';
import type { Load } from './load.ts';
import { nginx } from './nginx.ts';
import { profileWords } from './profile.ts';
import { isWhole, parseOptions, selectNames, UsageError, type Options } from './options.ts';
import type { Peer } from './peer.ts';
import { requestLoads } from './request-loads.ts';
import { clearResults, readResults, saveResult } from './results.ts';
import { figuresTable, goalsTable, type LoadResult, type Titles } from './tables.ts';
import { ensureTools, makeBundle, shippedBundle, type Tools } from './tools.ts';
import { verifyPair } from './verify.ts';
import { tsmesh } from './tsmesh.ts';

const loads: readonly Load[] = [...requestLoads, ...grpcLoads, ...bulkLoads, ...connectionLoads];
const usualRounds = 5;
const profilesFolder = join(repository, 'dist/bench/profiles');

/** Prints its tables as it goes; answers with none, because they are of many columns. */
export async function benchPeers(args: readonly string[]): Promise<void> {
  const options = parseOptions(args);
  if (options.write !== null) {
    write(options.write);
    return;
  }
  const names = selectNames(
    loads.map(({ name }) => name),
    options.only,
  );
  const selected = loads.filter(({ name }) => names.includes(name));
  const tools = await ensureTools();
  const peers = selectPeers(tools, options);
  if (peers.some(({ name }) => name === 'tsmesh')) await makeBundle();
  const whole = isWhole(options);
  // What an earlier whole run measured is only part of this one when asked for.
  if (whole && options.only.length === 0 && !options.resume) clearResults();
  const results: LoadResult[] = options.resume ? readResults(selected, true) : [];
  const done = results.map(({ load }) => load.name);
  const broken: string[] = [];
  for (const load of selected.filter(({ name }) => !done.includes(name))) {
    try {
      const rounds = await step(load.title, () => measure(load, tools, peers, options));
      if (options.peers.length === 0 && !options.profile) saveResult(load.name, rounds, whole);
      results.push({ load, rounds });
      console.log(`\n${figuresTable({ load, rounds }, titlesOf(peers))}\n`);
      if (options.profile) console.log(`${profileWords(profilesFolder)}\n`);
    } catch (error) {
      // The others are worth their half hour all the same; --resume measures this one again.
      broken.push(`${load.name}: ${(error as Error).message}`);
      console.error(broken.at(-1));
    }
  }
  console.log(`${goalsTable(results)}\n`);
  if (broken.length > 0) throw new Error(`not measured:\n${broken.join('\n')}`);
}

function write(source: 'whole' | 'quick'): void {
  const results = readResults(loads, source === 'whole');
  if (results.length === 0)
    throw new UsageError(`--write ${source}: there are no results of such runs in dist/bench`);
  const written = writeDocument(
    results,
    source,
    titlesOf(allPeers({ envoy: '', haproxy: '', nginx: '' })),
  );
  console.log(written.join('\n'));
}

function allPeers(
  programs: Pick<Tools, 'envoy' | 'haproxy' | 'nginx'>,
  profiles: string | null = null,
): Peer[] {
  return [
    tsmesh(shippedBundle, 'tsmesh', profiles),
    envoy(programs.envoy, 'h1'),
    envoy(programs.envoy, 'h2'),
    haproxy(programs.haproxy),
    nginx(programs.nginx),
  ];
}

function selectPeers(tools: Tools, { peers: wanted, profile }: Options): Peer[] {
  const all = allPeers(tools, profile ? profilesFolder : null);
  if (wanted.length === 0) return all;
  return wanted.flatMap((name) => {
    const [base, file] = name.split('@');
    if (base === 'tsmesh' && file !== undefined) return tsmesh(resolve(repository, file), name);
    const found = all.filter((peer) => peer.name === name || peer.name.startsWith(`${name}-`));
    if (found.length === 0) throw new UsageError(`--peers ${name}: no such peer`);
    return found;
  });
}

function titlesOf(peers: readonly Peer[]): Titles {
  const own = peers.map(({ name, title }) => [name, title] as const);
  return { ...Object.fromEntries(own), direct: 'no proxy' };
}

async function measure(
  load: Load,
  tools: Tools,
  peers: readonly Peer[],
  options: Options,
): Promise<Record<string, Sample[]>> {
  const { lanes, without = [] } = load;
  const able = peers.filter(
    (peer) => !without.includes(peer.name) && lanes.every((lane) => peer.lanes.includes(lane)),
  );
  const seconds = options.seconds ?? load.seconds;
  const rounds = options.rounds ?? load.rounds ?? usualRounds;
  return await withStage(tools, lanes, async (stage) => {
    const entrants =
      load.fresh === true
        ? able.map((peer) => anew(load, stage, peer, seconds))
        : await lasting(load, stage, able, seconds);
    return await inRounds(entrants, rounds);
  });
}

/** One pair of each peer lives through all rounds. */
async function lasting(
  load: Load,
  stage: Stage,
  peers: readonly Peer[],
  seconds: number,
): Promise<Entrant[]> {
  const targets: Target[] = [];
  for (const peer of peers) targets.push(await startPair(stage, peer));
  if (load.direct === true) targets.push(direct(stage));
  for (const target of targets) {
    await verifyPair(target);
    await load.warm?.({ stage, target, seconds });
  }
  return targets.map((target) => ({
    name: target.name,
    measure: () => load.measure({ stage, target, seconds }),
  }));
}

/** A pair for each round, and no other beside it. */
function anew(load: Load, stage: Stage, peer: Peer, seconds: number): Entrant {
  const measure = async (): Promise<Sample> => {
    const target = await startPair(stage, peer);
    try {
      return await load.measure({ stage, target, seconds });
    } finally {
      await endPair(stage, target);
    }
  };
  return { name: peer.name, measure };
}
