// What the balancers are held against: the backends of the model, in kinds that production knows. Pure.

import type { Backend, Random, Scenario } from './balancing-model.ts';

const meanMs = 10;
/** Time on the wire. */
const wireMs = 0.3;

/** Log-normal with this mean: most answers near it, some several times as long. */
function skewed(random: Random, mean: number, sigma = 0.8): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return mean * Math.exp(sigma * normal - (sigma * sigma) / 2);
}

function backend(over: Partial<Backend> = {}): Backend {
  return {
    workers: 4,
    serviceMs: (random) => skewed(random, meanMs),
    delayMs: () => wireMs,
    fails: () => false,
    fromMs: 0,
    ...over,
  };
}

function several(count: number, over: Partial<Backend> = {}): Backend[] {
  return Array.from({ length: count }, () => backend(over));
}

/** Independent arrivals, so many a second. */
function poisson(perSecond: number): Scenario['next'] {
  return (random) => ({ afterMs: (-Math.log(1 - random()) * 1000) / perSecond, requests: 1 });
}

function bursts(requests: number, everyMs: number): Scenario['next'] {
  return (random, nowMs) => {
    const toNext = everyMs - (nowMs % everyMs);
    const afterMs = -Math.log(1 - random()) * 2;
    return afterMs < toNext ? { afterMs, requests: 1 } : { afterMs: toNext, requests };
  };
}

const size = { callers: 1, durationMs: 40_000, countedFromMs: 10_000 };

/** A fault that begins while everything runs. */
const faultAtMs = 20_000;

/** Ten of them do 4,000 requests a second at most. */
export function scenarios(callers: number): Scenario[] {
  const base = { ...size, callers };
  const slow = backend({ delayMs: (nowMs) => (nowMs < faultAtMs ? wireMs : wireMs + 200) });
  const failing = backend({ fails: (nowMs) => nowMs >= faultAtMs });
  const cold = backend({
    fromMs: 20_000,
    serviceMs: (random, _, served) => skewed(random, meanMs * (1 + 9 * Math.exp(-served / 300))),
  });
  return [
    { name: 'equal', ...base, backends: several(10), next: poisson(2800) },
    {
      name: 'equal, even work',
      ...base,
      backends: several(10, { serviceMs: (random) => meanMs * (0.9 + 0.2 * random()) }),
      next: poisson(2800),
    },
    { name: 'equal, little load', ...base, backends: several(10), next: poisson(400) },
    { name: 'one slow', ...base, backends: [...several(9), slow], next: poisson(2000) },
    { name: 'one failing fast', ...base, backends: [...several(9), failing], next: poisson(2000) },
    {
      name: 'different speeds',
      ...base,
      backends: [
        ...several(5, { serviceMs: (random) => skewed(random, meanMs / 2) }),
        ...several(5, { serviceMs: (random) => skewed(random, meanMs * 2) }),
      ],
      next: poisson(3000),
    },
    {
      name: 'cold start',
      ...base,
      backends: [...several(8), cold, { ...cold }],
      next: poisson(2200),
    },
    { name: 'bursts', ...base, backends: several(10), next: bursts(120, 100) },
  ];
}
