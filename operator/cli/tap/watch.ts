// Watches several sidecars at once, by exec in each, and tells what they say as it comes. Prints nothing.

import { createInterface } from 'node:readline';
import { adminProgram, containerNames } from '../../../proxy/api/constants.ts';
import type { TapLine, TapNote } from '../../../proxy/api/tap.ts';
import type { UserClient } from '../../kube/user-client.ts';
import { errorText } from '../../resources/logger.ts';

export interface Watched {
  namespace: string;
  name: string;
}

export interface WatchEvents {
  line(pod: Watched, line: TapLine): void;
  /** Requests that passed the filter and are not shown. */
  leftOut(pod: Watched, count: number): void;
  /** Empty: it ended as it was to. */
  ended(pod: Watched, why: string): void;
}

interface Refusal {
  error: string;
  paths?: string[];
}

/** Resolves when all ended, or `stop` was called. */
export function watchPods(
  client: UserClient,
  asked: { pods: readonly Watched[]; query: string },
  events: WatchEvents,
): { over: Promise<void>; stop(): void } {
  const stops = new Set<() => void>();
  let stopped = false;
  const each = asked.pods.map(async (pod) => {
    const why = await watchOne(client, { pod, query: asked.query }, events, (stop) => {
      stops.add(stop);
      if (stopped) stop();
    });
    if (!stopped) events.ended(pod, why);
  });
  return {
    over: Promise.all(each).then(() => undefined),
    stop() {
      stopped = true;
      for (const stop of stops) stop();
    },
  };
}

async function watchOne(
  client: UserClient,
  { pod, query }: { pod: Watched; query: string },
  events: WatchEvents,
  onOpen: (stop: () => void) => void,
): Promise<string> {
  const running = await client
    .exec({
      namespace: pod.namespace,
      pod: pod.name,
      container: containerNames.proxy,
      command: [...adminProgram, '--attached', 'GET', `/tap?${query}`],
    })
    .catch((error: unknown) => errorText(error));
  if (typeof running === 'string') return running;
  onOpen(() => running.close());
  let answered = '';
  let ended = false;
  for await (const text of createInterface({ input: running.output })) {
    const said = parsed(text);
    if (said === null) answered += text;
    else if ('tap' in said) {
      if (said.tap.leftOut > 0) events.leftOut(pod, said.tap.leftOut);
      ended ||= said.tap.ended !== undefined;
    } else events.line(pod, said);
  }
  const why = await running.ended;
  return ended ? '' : (refusalOf(answered) ?? why);
}

/** Null: no whole line of the stream, but (part of) another answer. */
function parsed(text: string): TapLine | TapNote | null {
  try {
    const value = JSON.parse(text) as TapLine | TapNote | null;
    return value !== null && typeof value === 'object' && ('tap' in value || 'time' in value)
      ? value
      : null;
  } catch {
    return null;
  }
}

function refusalOf(text: string): string | null {
  try {
    const { error, paths: known } = JSON.parse(text) as Refusal;
    // Its list of what it answers is one of a version before this.
    if (known !== undefined && !known.includes('GET /tap'))
      return 'its sidecar is of a version that cannot be watched: restart the pod';
    return error;
  } catch {
    return null;
  }
}
