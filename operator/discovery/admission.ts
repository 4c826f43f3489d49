// May this peer have the configuration of the pod that it says it is? Pure: certificate, source address
// and view in, verdict out.

import type { Hello } from '../../proxy/api/discovery.ts';
import { formatSpiffeId } from '../../proxy/api/spiffe.ts';
import type { SpiffeParts } from '../../proxy/api/spiffe.ts';
import { canonicalAddress } from '../model/addresses.ts';
import { objectKey } from '../model/view.ts';
import type { PodEntry, View } from '../model/view.ts';
import { trustDomainOf } from '../translate/mesh-settings.ts';
import { refusal } from './refusals.ts';
import type { Refusal } from './refusals.ts';

export interface Peer {
  identity: SpiffeParts;
  /** Source of the connection, canonical. */
  address: string;
}

/** `wait`: the view does not have (all of) the pod yet, which may be the watch's delay. */
export type Verdict =
  | { verdict: 'admit'; pod: PodEntry }
  | { verdict: 'wait'; otherwise: Refusal }
  | { verdict: 'refuse'; refusal: Refusal };

export function admit(view: View, peer: Peer, claimed: Hello['pod']): Verdict {
  const key = objectKey(claimed.namespace, claimed.name);
  const early = identityRefusal(view, peer, claimed);
  if (early !== null) return { verdict: 'refuse', refusal: early };
  const pod = view.pods.get(key);
  if (pod === undefined || pod.uid !== claimed.uid) {
    const message = `pod ${key} (uid ${claimed.uid}) is not known to the operator`;
    return { verdict: 'wait', otherwise: refusal('pod-unknown', message) };
  }
  if (pod.serviceAccount !== peer.identity.serviceAccount) {
    const message = `pod ${key} runs as service account ${pod.serviceAccount}; the certificate is for ${peer.identity.serviceAccount}`;
    return { verdict: 'refuse', refusal: refusal('identity-mismatch', message) };
  }
  if (!pod.meshed) {
    const message = `pod ${key} is not meshed: it lacks the label that injection sets`;
    return { verdict: 'refuse', refusal: refusal('not-meshed', message) };
  }
  return addressVerdict(pod, peer, claimed.ips.map(canonicalAddress));
}

function identityRefusal(view: View, peer: Peer, claimed: Hello['pod']): Refusal | null {
  const trustDomain = trustDomainOf(view);
  if (peer.identity.trustDomain !== trustDomain) {
    const message = `the certificate is of trust domain ${peer.identity.trustDomain}; this mesh is ${trustDomain}`;
    return refusal('wrong-trust-domain', message);
  }
  if (peer.identity.namespace === claimed.namespace) return null;
  const message = `${formatSpiffeId(peer.identity)} cannot speak for a pod of namespace ${claimed.namespace}`;
  return refusal('identity-mismatch', message);
}

function addressVerdict(pod: PodEntry, peer: Peer, claimed: string[]): Verdict {
  const missing = [peer.address, ...claimed].filter((ip) => !pod.ips.includes(ip));
  if (missing.length === 0) return { verdict: 'admit', pod };
  const has = pod.ips.join(', ') || 'none yet';
  const message = `pod ${pod.key} has the addresses ${has}; not ${missing.join(', ')}`;
  const otherwise = refusal('source-mismatch', message);
  // Addresses never change once set; the second family can come a moment later.
  return { verdict: 'wait', otherwise };
}
