// SPIFFE ids of the mesh (SPIFFE-ID §2; Kubernetes layout as Istio writes it): parse and format.

declare const brand: unique symbol;
/** `spiffe://<trust-domain>/ns/<namespace>/sa/<service-account>`, checked. */
export type SpiffeId = string & { readonly [brand]: 'SpiffeId' };

export interface SpiffeParts {
  trustDomain: string;
  namespace: string;
  serviceAccount: string;
}

const form = /^spiffe:\/\/([a-z0-9._-]{1,255})\/ns\/([a-z0-9-]{1,63})\/sa\/([a-z0-9.-]{1,253})$/;

export function formatSpiffeId(parts: SpiffeParts): SpiffeId {
  const { trustDomain, namespace, serviceAccount } = parts;
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}` as SpiffeId;
}

/** Null where the text is not a SPIFFE id of this layout. */
export function parseSpiffeId(text: string): SpiffeParts | null {
  const match = form.exec(text);
  if (match === null) return null;
  return { trustDomain: match[1]!, namespace: match[2]!, serviceAccount: match[3]! };
}
