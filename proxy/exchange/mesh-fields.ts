// What a caller's sidecar tells the callee's of a request that HTTP/2 between them has no place for: fields that
// apps can neither set nor see. They are read, and taken out, in request-fields.ts.

import type { RequestHead } from '../codec/session.ts';

/** `http2`: the caller's app spoke HTTP/2, and its own app may speak nothing else. */
export const appProtocolField = 'tsmesh-app-protocol';
/** `absolute`: the target came in absolute-form, as clients write it to proxies (RFC 9112 §3.2.2). */
export const targetFormField = 'tsmesh-target-form';

export function withMeshFields(head: RequestHead, http2: boolean): RequestHead {
  const absolute = head.absoluteForm !== undefined;
  if (!http2 && !absolute) return head;
  const fields = [...head.fields];
  if (http2) fields.push(appProtocolField, 'http2');
  if (absolute) fields.push(targetFormField, 'absolute');
  return { ...head, fields };
}
