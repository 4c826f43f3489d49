// Records a CPU profile of this process in the format of Chrome's developer tools. The inspector is
// loaded only when asked for.

import { setTimeout as sleep } from 'node:timers/promises';

export async function recordCpuProfile(seconds: number): Promise<unknown> {
  const { Session } = await import('node:inspector/promises');
  const session = new Session();
  session.connect();
  try {
    await session.post('Profiler.enable');
    await session.post('Profiler.start');
    await sleep(seconds * 1000);
    const { profile } = await session.post('Profiler.stop');
    return profile;
  } finally {
    session.disconnect();
  }
}
