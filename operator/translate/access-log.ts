// Which access log a pod's sidecar writes: what the pod says before what its namespace says before what the Mesh says, each of mode,
// format and share by itself. Pure.

import type { WorkloadResource } from '../../proxy/api/resources.ts';
import type { PodEntry, View } from '../model/view.ts';
import { accessLogAnnotation, accessLogWish } from '../resources/access-log.ts';

export type AccessLogFields = Pick<
  WorkloadResource,
  'accessLog' | 'accessLogFormat' | 'accessLogSampling' | 'accessLogDecidedBy'
>;

/** Sidecars take what is absent for their defaults: what the Mesh says in one word alone stays one word. */
export function accessLogOf(view: View, pod: PodEntry): AccessLogFields {
  const own = pod.accessLog ?? null;
  const around = accessLogWish(view.namespaces.get(pod.namespace)?.metadata.annotations);
  const { accessLog, accessLogFormat, accessLogSampling } = view.mesh?.spec ?? {};
  const mode = own?.mode ?? around?.mode ?? accessLog ?? 'errors';
  const format = own?.format ?? around?.format ?? accessLogFormat ?? 'json';
  const sampling = own?.sampling ?? around?.sampling ?? accessLogSampling ?? 100;
  let by = '';
  if (own?.mode !== undefined) by = `pod ${pod.key}`;
  else if (around?.mode !== undefined) by = `namespace ${pod.namespace}`;
  return {
    accessLog: mode === 'none' ? 'off' : mode,
    ...(format === 'json' ? {} : { accessLogFormat: format }),
    ...(sampling === 100 ? {} : { accessLogSampling: sampling }),
    ...(by === '' ? {} : { accessLogDecidedBy: `annotation ${accessLogAnnotation} of ${by}` }),
  };
}
