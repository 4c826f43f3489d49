// Expectations against answers: which are met, and a table of them.

import { styleOf, table } from '../style.ts';
import type { World } from '../world.ts';
import type { Answer, PlaceAnswer, Verdict } from './answer.ts';
import { inPlace, type Expectation } from './expectations.ts';
import { judge, refusalsOf, type Scene } from './judge.ts';
import { byWords } from './refusal.ts';
import type { Call } from './question.ts';

export interface Outcome {
  name: string;
  met: boolean;
  expected: { allowed: boolean; by: string | null };
  verdict: Verdict;
  /** Who decided, each once; empty where nothing had to. */
  by: string[];
  notes: string[];
}

/** `calls` belong to the expectations, in their order. */
export function judgeAll(
  scene: Scene,
  expectations: readonly Expectation[],
  calls: readonly Call[],
): Outcome[] {
  return expectations.map((expectation, index) => {
    const ask = () => judge({ ...scene, notes: [] }, calls[index]!);
    return outcome(expectation, inPlace(expectation.place, ask));
  });
}

function outcome({ name, allowed, by }: Expectation, answer: Answer): Outcome {
  const deciders = decidersOf(answer);
  const asExpected = answer.verdict === (allowed ? 'allowed' : 'denied');
  const bySame = by === null || (deciders.length > 0 && deciders.every((one) => names(one, by)));
  return {
    name,
    met: asExpected && bySame,
    expected: { allowed, by },
    verdict: answer.verdict,
    by: deciders,
    notes: answer.notes,
  };
}

/** A policy's name stands for any of its rules. */
function names(decider: string, wanted: string): boolean {
  return decider === wanted || decider.startsWith(`${wanted}, `);
}

/** Of a call that is refused, who refuses; of one that is allowed, whose rules allow it. */
export function decidersOf(answer: Answer): string[] {
  const refusals = refusalsOf(answer).map(({ by, code }) => (by === '' ? code : by));
  if (refusals.length > 0) return refusals;
  const places = (answer.route?.backends ?? []).flatMap((one) => one.places);
  return [...new Set(places.flatMap(allowedBy))];
}

function allowedBy({ authorization }: PlaceAnswer): string[] {
  const by = authorization?.by ?? null;
  if (by === null) return [];
  return [byWords(by)];
}

export function printOutcomes(
  outcomes: readonly Outcome[],
  notes: readonly string[],
  world: World,
): void {
  const { green, red, dim } = styleOf(world.colour);
  const rows = outcomes.map((one) => [one.met ? 'ok' : 'FAILED', one.name, verdictWords(one)]);
  for (const [index, line] of table(rows).entries()) {
    const { met } = outcomes[index]!;
    const [mark] = rows[index]!;
    world.out((met ? green : red)(mark!) + line.slice(mark!.length));
    if (!met) world.out(`        ${red('expected:')} ${expectedWords(outcomes[index]!)}`);
  }
  const all = new Set([...notes, ...outcomes.flatMap((one) => (one.met ? [] : one.notes))]);
  for (const note of all) world.out(dim(`note: ${note}`));
  const failed = outcomes.filter((one) => !one.met).length;
  world.out(`${outcomes.length - failed} of ${outcomes.length} expectations met`);
}

function verdictWords({ verdict, by }: Outcome): string {
  const word = verdict === 'mixed' ? 'allowed by some pods, denied by others' : verdict;
  return by.length === 0 ? word : `${word} by ${by.join('; ')}`;
}

function expectedWords({ expected }: Outcome): string {
  const word = expected.allowed ? 'allowed' : 'denied';
  return expected.by === null ? word : `${word} by ${expected.by}`;
}
