// Load of one kind, in pieces, for as long as something else takes.
import { runLoad, type Caller } from './calls.ts';

export interface KeptLoad {
  /** Tells it to end; answers what failed and how much was done. */
  end(): Promise<{ errors: string[]; requests: number }>;
}

export function keepLoading(caller: Caller, url: string, rate: number): KeptLoad {
  const errors: string[] = [];
  let requests = 0;
  let going = true;
  const loop = async (): Promise<void> => {
    while (going) {
      const options = ['--seconds', '6', '--rate', String(rate), '--concurrency', '4'];
      const load = await runLoad(caller, url, ...options);
      errors.push(...load.errors);
      requests += load.requests;
    }
  };
  const ended = loop();
  // Awaited at the end; a failure before that must not count as unhandled.
  ended.catch(() => undefined);
  return {
    async end() {
      going = false;
      await ended;
      return { errors, requests };
    },
  };
}
