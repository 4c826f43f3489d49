// Streams by pod. Pure.

import type { StreamState } from '../discovery/stream-state.ts';
import { objectKey } from '../model/view.ts';
import type { ObjectKey } from '../model/view.ts';

/** Of two of one pod the later one counts: the other has not ended yet. */
export function indexOfStreams(streams: readonly StreamState[]): Map<ObjectKey, StreamState> {
  const found = new Map<ObjectKey, StreamState>();
  for (const stream of streams) {
    const key = objectKey(stream.pod.namespace, stream.pod.name);
    const known = found.get(key);
    if (known === undefined || known.connectedAtMs < stream.connectedAtMs) found.set(key, stream);
  }
  return found;
}
