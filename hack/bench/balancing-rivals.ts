// The balancers that tsmesh's is held against, as their documentation says them. Pure.

import type { Balancer, NewBalancer, Random } from './balancing-model.ts';

abstract class Listed implements Balancer {
  protected readonly list: number[] = [];
  protected readonly random: Random;

  constructor(random: Random) {
    this.random = random;
  }

  added(backend: number): void {
    this.list.push(backend);
  }

  ended(_backend: number): void {
    // Nothing is known of it.
  }

  abstract choose(nowMs: number): number;

  protected any(): number {
    return this.list[Math.trunc(this.random() * this.list.length)]!;
  }
}

class RoundRobin extends Listed {
  private position = -1;

  choose(): number {
    // Callers do not begin at the same place.
    if (this.position < 0) this.position = Math.trunc(this.random() * this.list.length);
    this.position = (this.position + 1) % this.list.length;
    return this.list[this.position]!;
  }
}

class RandomChoice extends Listed {
  choose(): number {
    return this.any();
  }
}

/**
 * Envoy's LEAST_REQUEST with equal weights: two are drawn, the one with fewer active requests wins, the first where they
 * are equal. (Weights that differ would make it a round robin by weight / (active + 1) ^ bias.)
 */
class EnvoyLeastRequest extends Listed {
  private readonly active: number[] = [];

  choose(): number {
    const [a, b] = [this.any(), this.any()];
    const chosen = (this.active[b] ?? 0) < (this.active[a] ?? 0) ? b : a;
    this.active[chosen] = (this.active[chosen] ?? 0) + 1;
    return chosen;
  }

  override ended(backend: number): void {
    this.active[backend]! -= 1;
  }
}

export const rivals: Readonly<Record<string, NewBalancer>> = {
  'round robin': (random) => new RoundRobin(random),
  random: (random) => new RandomChoice(random),
  'Envoy, least request': (random) => new EnvoyLeastRequest(random),
};
