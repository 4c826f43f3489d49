// Leading and not leading: starts the controllers when this replica wins the lease, stops them when it
// loses it, and tells discovery where the leader is.

import { operatorPorts } from '../proxy/api/constants.ts';
import { Controllers, type ControllerHooks } from './controllers/controllers.ts';
import type { ControllerContext } from './controllers/context.ts';
import type { Leader } from './discovery/api.ts';
import { LeaderElection, type ElectionDeps } from './kube/leader-election.ts';

export interface LeadershipDeps {
  election: ElectionDeps;
  context: ControllerContext;
  hooks: ControllerHooks;
  onLeader: (leader: Leader) => void;
}

export class Leadership {
  readonly #election: LeaderElection;
  #controllers: Controllers | null = null;
  /** The last term's end: a new term waits for it. */
  #ending: Promise<void> = Promise.resolve();
  #leader: Leader = null;

  constructor(deps: LeadershipDeps) {
    this.#election = new LeaderElection(deps.election, {
      onLead: () => {
        const controllers = new Controllers(deps.context, deps.hooks);
        this.#controllers = controllers;
        void this.#ending.then(() => {
          if (this.#controllers === controllers) controllers.start();
        });
      },
      onLost: () => {
        const controllers = this.#controllers;
        this.#controllers = null;
        if (controllers !== null) this.#ending = controllers.stop();
      },
      onLeader: (replica) => {
        const self = deps.election.self;
        const host = replica?.ip.includes(':') === true ? `[${replica.ip}]` : replica?.ip;
        const address = `${host}:${operatorPorts.discovery}`;
        if (replica === null) this.#leader = null;
        else if (replica.name === self.name) this.#leader = { self: true };
        else this.#leader = { self: false, address };
        deps.onLeader(this.#leader);
      },
    });
  }

  /** Of the current term; null while another replica leads. */
  get controllers(): Controllers | null {
    return this.#controllers;
  }

  get leader(): Leader {
    return this.#leader;
  }

  start(): void {
    this.#election.start();
  }

  async stop(): Promise<void> {
    await this.#election.stop();
    await this.#ending;
  }
}
