// An app that can be told to misbehave: what the tests and benchmarks of bad endpoints ask, and how many asked it.
import type { IncomingMessage, ServerResponse } from 'node:http';

/** `fails`: answers 500; `hangs`: answers nothing; `slow`: answers after 200 ms. */
export const behaviours = ['well', 'fails', 'hangs', 'slow'] as const;
export type Behaviour = (typeof behaviours)[number];

const slowMs = 200;

export interface FaultyApp {
  behaviour: Behaviour;
  /** Requests so far. */
  received: number;
  handle(request: IncomingMessage, response: ServerResponse): void;
}

export function createFaultyApp(): FaultyApp {
  const app: FaultyApp = { behaviour: 'well', received: 0, handle };
  return app;

  function handle(_request: IncomingMessage, response: ServerResponse): void {
    app.received += 1;
    if (app.behaviour === 'hangs') return;
    const status = app.behaviour === 'fails' ? 500 : 200;
    const answer = (): void => void response.writeHead(status).end('answer');
    if (app.behaviour === 'slow') setTimeout(answer, slowMs);
    else answer();
  }
}
