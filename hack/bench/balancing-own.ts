// tsmesh's default balancer in the model: the sidecar's own code with its own figures.

import {
  answerCame,
  awaitAnswer,
  chooseEndpoint,
  joinLoad,
  leaveLoad,
  newLoad,
  observe,
  observeFailure,
} from '../../proxy/policy/load.ts';
import type { EndpointHandle } from '../../proxy/state/prepared.ts';
import type { Balancer, Random } from './balancing-model.ts';

export function handle(index: number): EndpointHandle {
  const name = `pod-${index}`;
  return {
    key: name,
    address: name,
    port: 80,
    identity: null,
    podName: name,
    zone: '',
    load: newLoad(),
  };
}

export class OwnBalancer implements Balancer {
  private readonly random: Random;
  private readonly list: EndpointHandle[] = [];
  private readonly indexes = new Map<EndpointHandle, number>();
  private readonly handles: EndpointHandle[] = [];

  constructor(random: Random) {
    this.random = random;
  }

  added(backend: number): void {
    const made = handle(backend);
    this.list.push(made);
    this.indexes.set(made, backend);
    this.handles[backend] = made;
  }

  choose(nowMs: number): number {
    const chosen = chooseEndpoint(this.list, [], this.random, nowMs)!;
    joinLoad(chosen.load, nowMs);
    awaitAnswer(chosen.load, nowMs);
    return this.indexes.get(chosen)!;
  }

  ended(backend: number, answer: { latencyMs: number; failed: boolean }, nowMs: number): void {
    const { load } = this.handles[backend]!;
    const { latencyMs, failed } = answer;
    leaveLoad(load);
    answerCame(load, nowMs);
    if (failed) observeFailure(load, latencyMs, nowMs, true);
    else observe(load, latencyMs, nowMs);
  }
}
