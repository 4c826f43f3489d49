// Identity Secrets of the service accounts that meshed pods use: which ones there are, and keeping each
// of them good. What good means is decided in operator/ca.

import {
  maintainIdentitySecret,
  type IdentityDeps,
  type ServiceAccountRef,
} from '../ca/identity-secrets.ts';
import type { View } from '../model/view.ts';
import { ApiError } from '../resources/api-client.ts';
import type { Again } from '../runtime/work-queue.ts';
import type { ControllerContext } from './context.ts';
import { grantIdentityAccess } from './identity-access.ts';
import { meshName } from './mesh.ts';

/** Timers end at 2^31 ms; and clocks of machines are set: look again at least this often. */
const maxWaitMs = 10 * 60_000;
const minWaitMs = 1_000;

/** Keeps the Secret of one service account; asks to be run again when the certificate is due. */
export async function reconcileIdentity(
  context: ControllerContext,
  namespace: string,
  serviceAccount: string,
): Promise<Again | undefined> {
  const used = usedServiceAccounts(context.view());
  if (!used.has(identityKey({ namespace, serviceAccount }))) return undefined;
  const deps: IdentityDeps = {
    api: context.api,
    events: context.events,
    ca: context.ca,
    // Not the view's, which does not follow annotations.
    getMesh: () => context.stores.meshes.get('', meshName) ?? null,
  };
  const nowMs = context.clock.wallTimeMs();
  const ref = { namespace, serviceAccount };
  const outcome = await maintain(context, deps, { ref, nowMs });
  const { action, secretName } = outcome;
  if (action !== 'keep') {
    context.logger.info('wrote an identity Secret', { namespace, secretName, action });
  }
  const waitMs = outcome.renewAtMs - nowMs;
  return { afterMs: Math.min(maxWaitMs, Math.max(minWaitMs, waitMs)) };
}

async function maintain(
  context: ControllerContext,
  deps: IdentityDeps,
  what: { ref: ServiceAccountRef; nowMs: number },
) {
  try {
    return await maintainIdentitySecret(deps, what.ref, what.nowMs);
  } catch (error) {
    // The binding is not there (yet): make it, and let the queue try again.
    const forbidden = error instanceof ApiError && error.code === 'Forbidden';
    if (forbidden) await grantIdentityAccess(context.api, what.ref.namespace);
    throw error;
  }
}

export function identityKey(ref: ServiceAccountRef): string {
  return `${ref.namespace}/${ref.serviceAccount}`;
}

/** Pure: keys `namespace/serviceAccount` of all meshed pods that live. */
export function usedServiceAccounts(view: View): Set<string> {
  const used = new Set<string>();
  for (const pod of view.pods.values()) {
    if (pod.meshed && pod.alive) used.add(identityKey(pod));
  }
  return used;
}
