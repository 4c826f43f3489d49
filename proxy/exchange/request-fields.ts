// One pass over the fields of a request: takes out what may not go on, finds what decisions need. It
// changes the list it is given, which belongs to the request.

import { headers } from '../api/constants.ts';
import type { Fields } from '../codec/session.ts';
import {
  appProtocolField,
  isClientCert,
  isReserved,
  stripMeshFields,
  targetFormField,
} from './mesh-fields.ts';

export interface RequestFacts {
  grpc: boolean;
  /** Empty where the request has none. */
  requestId: string;
  /** What the caller's sidecar says of the caller's app. */
  tellsHttp2: boolean;
  /** What it says of the form of the target. */
  tellsAbsoluteForm: boolean;
}

/** `inbound`: strips the certificate header too, which an app may send on but nobody may forge. */
export function readFields(fields: Fields, inbound: boolean): RequestFacts {
  const facts: RequestFacts = {
    grpc: false,
    requestId: '',
    tellsHttp2: false,
    tellsAbsoluteForm: false,
  };
  let forbidden = false;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    switch (name.charCodeAt(0)) {
      case 0x63: // c
        if (name === 'content-type') facts.grpc = isGrpc(fields[i + 1]!);
        break;
      case 0x74: // t
        if (!isReserved(name)) break;
        forbidden = true;
        if (name === appProtocolField) facts.tellsHttp2 = fields[i + 1] === 'http2';
        else if (name === targetFormField) facts.tellsAbsoluteForm = fields[i + 1] === 'absolute';
        break;
      case 0x78: // x
        if (name === headers.requestId) facts.requestId = fields[i + 1]!;
        else if (inbound && isClientCert(name)) forbidden = true;
        break;
      default:
    }
  }
  if (forbidden) stripMeshFields(fields, inbound);
  return facts;
}

/** `application/grpc`, `application/grpc+proto`, …; gRPC-Web (`application/grpc-web`) is answered as HTTP. */
function isGrpc(contentType: string): boolean {
  if (!contentType.startsWith('application/grpc')) return false;
  const next = contentType[16];
  return next === undefined || next === '+' || next === ';';
}
