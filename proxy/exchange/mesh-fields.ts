// What sidecars tell each other of a message that HTTP/2 between them has no place for: fields that apps neither
// see nor can use against others. Those of requests are read, and taken out, in request-fields.ts.

import type { Fields, RequestHead, ResponseHead } from '../codec/session.ts';
import { fieldLine } from '../policy/route-match.ts';

/** `http2`: the caller's app spoke HTTP/2, and its own app may speak nothing else. */
export const appProtocolField = 'tsmesh-app-protocol';
/** `absolute`: the target came in absolute-form, as clients write it to proxies (RFC 9112 §3.2.2). */
export const targetFormField = 'tsmesh-target-form';

/** The workload of the caller's pod: with the first request of a connection, for all that follow. */
const sourceWorkloadField = 'tsmesh-source-workload';
/** Names of workloads are names of DNS (RFC 1123). */
const workloadForm = /^[a-z0-9][a-z0-9.-]{0,252}$/;

/** `sourceWorkload`: empty where it is not known, or was told before. */
export function withMeshFields(
  head: RequestHead,
  http2: boolean,
  sourceWorkload = '',
): RequestHead {
  const absolute = head.absoluteForm !== undefined;
  if (!http2 && !absolute && sourceWorkload === '') return head;
  const fields = [...head.fields];
  if (http2) fields.push(appProtocolField, 'http2');
  if (absolute) fields.push(targetFormField, 'absolute');
  if (sourceWorkload !== '') fields.push(sourceWorkloadField, sourceWorkload);
  return { ...head, fields };
}

/** What the caller's sidecar says of its workload: for telling apart what is counted, and for nothing else. */
export function readSourceWorkload({ fields }: RequestHead): string {
  const told = fieldLine(fields, sourceWorkloadField) ?? '';
  return workloadForm.test(told) ? told : '';
}

/** `status` or `status;length`: a 2xx that accepts nothing, where any 2xx would accept the upgrade (RFC 8441 §5). */
const declinedField = 'tsmesh-upgrade-declined';
const declinedForm = /^(2[0-9]{2})(?:;([0-9]{1,15}))?$/;

/** The answer of an app that took an Upgrade for an ordinary request. */
export function withDeclined(head: ResponseHead): ResponseHead {
  const { status, contentLength } = head;
  const said = contentLength === null ? String(status) : `${status};${contentLength}`;
  return { ...head, fields: [...head.fields, declinedField, said] };
}

/** The answer as its app gave it, from what a peer sent as 2xx to an upgrade (`head.status` reads 101). */
export function withoutDeclined(head: ResponseHead): ResponseHead {
  const parts = declinedForm.exec(fieldLine(head.fields, declinedField) ?? '');
  if (parts === null) return head;
  const fields = without(head.fields, declinedField);
  const contentLength = parts[2] === undefined ? null : Number(parts[2]);
  return { ...head, status: Number(parts[1]), fields, contentLength };
}

const meshPrefix = 'tsmesh';
/** Names of the client's certificate in the form Envoy made common; set by the mesh only. */
export const clientCertHeader = 'x-forwarded-client-cert';

/**
 * Takes out, in place, what only sidecars may say: of whatever comes from anything else. `clientCert`: the
 * certificate's field too, which an app may send on but nobody may forge.
 */
export function stripMeshFields(fields: Fields, clientCert: boolean): void {
  for (let i = 0; i < fields.length; i += 2)
    if (isMeshName(fields[i]!, clientCert)) {
      stripFrom(fields, i, clientCert);
      return;
    }
}

function stripFrom(fields: Fields, from: number, clientCert: boolean): void {
  let kept = from;
  for (let i = from; i < fields.length; i += 2) {
    const name = fields[i]!;
    if (isMeshName(name, clientCert)) continue;
    fields[kept] = name;
    fields[kept + 1] = fields[i + 1]!;
    kept += 2;
  }
  fields.length = kept;
}

function isMeshName(name: string, clientCert: boolean): boolean {
  switch (name.charCodeAt(0)) {
    case 0x74: // t
      return isReserved(name);
    case 0x78: // x
      return clientCert && isClientCert(name);
    default:
      return false;
  }
}

/**
 * `tsmesh-…`, and what apps behind CGI's rules (RFC 3875 §4.1.18: WSGI, Rack, PHP) take for the same, to whom
 * `tsmesh_client_identity` reads as `tsmesh-client-identity` does.
 */
export function isReserved(name: string): boolean {
  return name.startsWith(meshPrefix) && isSeparator(name.charCodeAt(meshPrefix.length));
}

/** In the same way. */
export function isClientCert(name: string): boolean {
  if (name === clientCertHeader) return true;
  return name.length === clientCertHeader.length && clientCertAlias.test(name);
}

const clientCertAlias = /^x[^a-z0-9]forwarded[^a-z0-9]client[^a-z0-9]cert$/;

/** Neither a digit nor a lower-case letter; not the end of the name. */
function isSeparator(code: number): boolean {
  return code < 0x30 || (code > 0x39 && code < 0x61) || code > 0x7a;
}

function without(fields: Fields, name: string): Fields {
  const kept: Fields = [];
  for (let i = 0; i < fields.length; i += 2)
    if (fields[i] !== name) kept.push(fields[i]!, fields[i + 1]!);
  return kept;
}

/** The callee's sidecar could not connect to its app: the request provably reached nobody. */
export const unreachedField = 'tsmesh-unreached';

export function tellsUnreached({ fields }: ResponseHead): boolean {
  return fieldLine(fields, unreachedField) !== undefined;
}

/** For the caller's sidecar only: taken out of what its app gets. */
export function withoutUnreached(head: ResponseHead): ResponseHead {
  return tellsUnreached(head) ? { ...head, fields: without(head.fields, unreachedField) } : head;
}
