// Brings up what one load needs (apps, a pair of each peer), measures them in alternating rounds, and
// takes everything down again.
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '../../lib/free-ports.ts';
import { repository } from '../../lib/paths.ts';
import { isRunning, processName } from '../../lib/processes.ts';
import { say } from '../../lib/steps.ts';
import { startApp } from './apps.ts';
import { launch, type Running } from './launch.ts';
import type { Peer } from './peer.ts';
import { writeIdentities, type Identities, type Lane, type PairPlan } from './plan.ts';
import type { Tools } from './tools.ts';

/** Figures of one round by name. */
export type Sample = Readonly<Record<string, number>>;

/** What a load is sent to: a pair of proxies, or the app itself. */
export interface Target {
  readonly name: string;
  readonly peer: Peer | null;
  readonly plan: PairPlan;
  readonly client: Running | null;
  readonly server: Running | null;
  /** Where the client of this lane connects to. */
  port(lane: Lane): number;
}

export interface Stage {
  readonly tools: Tools;
  readonly identities: Identities;
  readonly folder: string;
  readonly appPorts: ReadonlyMap<Lane, number>;
  /** Started by this stage, ended in reverse. */
  readonly running: Running[];
}

/** Apps and identities for these lanes; `use` may start pairs on it. All ends with it. */
export async function withStage<T>(
  tools: Tools,
  lanes: readonly Lane[],
  use: (stage: Stage) => Promise<T>,
): Promise<T> {
  const folder = scratchFolder();
  const running: Running[] = [];
  try {
    const ports = await freePorts(lanes.length);
    const appPorts = new Map(lanes.map((lane, index) => [lane, ports[index]!]));
    for (const [lane, port] of appPorts)
      running.push(await startApp(lane, tools, { port, folder }));
    const identities = writeIdentities(folder);
    return await use({ tools, identities, folder, appPorts, running });
  } finally {
    for (const one of running.reverse()) await one.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** In dist/, named by the process that uses it; those of processes that are gone are removed. */
function scratchFolder(): string {
  const parent = join(repository, 'dist/bench/run');
  mkdirSync(parent, { recursive: true });
  for (const name of readdirSync(parent)) {
    const [pid = '', startTime = ''] = name.split('-');
    if (isRunning({ pid: Number(pid), startTime })) continue;
    rmSync(join(parent, name), { recursive: true, force: true });
  }
  const { pid, startTime } = processName(process.pid)!;
  return mkdtempSync(join(parent, `${pid}-${startTime}-`));
}

/** A pair of this peer on all lanes of the stage that it can do. */
export async function startPair(stage: Stage, peer: Peer): Promise<Target> {
  const plan = await pairPlan(stage, peer);
  const server = await launch(peer.command('server', plan));
  stage.running.push(server);
  const client = await launch(peer.command('client', plan));
  stage.running.push(client);
  return { name: peer.name, peer, plan, client, server, port: (lane) => portsOf(plan, lane).entry };
}

/** The app without any proxy. */
export function direct(stage: Stage): Target {
  const { identities, folder, appPorts } = stage;
  const lanes = [...appPorts].map(([lane, app]) => [lane, { entry: app, mesh: 0, app }] as const);
  const plan: PairPlan = { folder, identities, lanes, admin: { client: 0, server: 0 } };
  const port = (lane: Lane) => portsOf(plan, lane).app;
  return { name: 'direct', peer: null, plan, client: null, server: null, port };
}

export async function pairPlan(stage: Stage, peer: Peer): Promise<PairPlan> {
  const able = [...stage.appPorts].filter(([lane]) => peer.lanes.includes(lane));
  const ports = await freePorts(able.length * 2 + 2);
  const lanes = able.map(
    ([lane, app], index) =>
      [lane, { entry: ports[2 * index]!, mesh: ports[2 * index + 1]!, app }] as const,
  );
  const admin = { client: ports.at(-2)!, server: ports.at(-1)! };
  const folder = mkdtempSync(join(stage.folder, 'pair-'));
  return { folder, identities: stage.identities, lanes, admin };
}

export function portsOf(plan: PairPlan, lane: Lane): { entry: number; mesh: number; app: number } {
  const found = plan.lanes.find(([name]) => name === lane);
  if (found === undefined) throw new Error(`lane ${lane} is not planned`);
  return found[1];
}

export interface Entrant {
  readonly name: string;
  measure(): Promise<Sample>;
}

/** Every one once a round, in turn, beginning with another one each round. */
export async function inRounds(
  entrants: readonly Entrant[],
  rounds: number,
): Promise<Record<string, Sample[]>> {
  const samples = entrants.map(({ name }) => [name, []] as [string, Sample[]]);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < entrants.length; turn++) {
      const at = (turn + round) % entrants.length;
      const entrant = entrants[at]!;
      const sample = await entrant.measure();
      samples[at]![1].push(sample);
      say(`  ${round + 1}/${rounds} ${entrant.name}: ${words(sample)}`);
    }
  }
  return Object.fromEntries(samples);
}

/** Ends a pair before the stage does. */
export async function endPair(stage: Stage, { client, server }: Target): Promise<void> {
  for (const one of [client, server]) {
    if (one === null) continue;
    await one.close();
    stage.running.splice(stage.running.indexOf(one), 1);
  }
}

function words(sample: Sample): string {
  return Object.entries(sample)
    .map(([name, value]) => `${name} ${Math.round(value * 100) / 100}`)
    .join(', ');
}
