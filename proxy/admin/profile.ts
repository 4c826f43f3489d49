// Records profiles of this thread in the formats of Chrome's developer tools: where its time goes, or who allocates what
// stays in its heap. The inspector is loaded only when asked for.

import { setTimeout as sleep } from 'node:timers/promises';

export const profileKinds = ['cpu', 'allocations'] as const;
export type ProfileKind = (typeof profileKinds)[number];

/** One sample for so many bytes: a sidecar's heap has some thousand of them. */
const samplingBytes = 8192;

export async function recordProfile(kind: ProfileKind, seconds: number): Promise<unknown> {
  const { Session } = await import('node:inspector/promises');
  const session = new Session();
  session.connect();
  try {
    if (kind === 'allocations') {
      await session.post('HeapProfiler.startSampling', { samplingInterval: samplingBytes });
      await sleep(seconds * 1000);
      return (await session.post('HeapProfiler.stopSampling')).profile;
    }
    await session.post('Profiler.enable');
    await session.post('Profiler.start');
    await sleep(seconds * 1000);
    return (await session.post('Profiler.stop')).profile;
  } finally {
    session.disconnect();
  }
}
