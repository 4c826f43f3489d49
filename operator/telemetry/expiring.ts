// Sidecars whose certificate is about to end: something keeps the renewal from them, for it comes at two
// thirds of the life. Pure; from what sidecars report.

import type { StreamState } from '../discovery/stream-state.ts';
import { objectKey } from '../model/view.ts';
import type { ObjectKey, View } from '../model/view.ts';

export interface ExpiringCertificate {
  pod: ObjectKey;
  notAfterMs: number;
}

const expiresSoonShare = 0.1;

/** Those in the last tenth of their life, or beyond it; the first to end comes first. */
export function expiringCertificates(
  view: View,
  streams: readonly StreamState[],
  nowMs: number,
): ExpiringCertificate[] {
  const found: ExpiringCertificate[] = [];
  for (const { pod, statistics } of streams) {
    const { notBeforeMs, notAfterMs } = statistics?.certificate ?? {};
    const entry = view.pods.get(objectKey(pod.namespace, pod.name));
    if (notBeforeMs === undefined || notAfterMs === undefined) continue;
    if (entry?.uid !== pod.uid || !entry.alive || entry.terminating) continue;
    const share = (notAfterMs - nowMs) / (notAfterMs - notBeforeMs);
    if (share < expiresSoonShare) found.push({ pod: entry.key, notAfterMs });
  }
  return found.toSorted((a, b) => a.notAfterMs - b.notAfterMs);
}
