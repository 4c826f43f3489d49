// The one Mesh: made with its defaults where there is none, and its status.

import { ApiError } from '../resources/api-client.ts';
import type { ExpiringCertificate } from '../telemetry/expiring.ts';
import type { Mesh } from '../resources/tsmesh.ts';
import { meshFaults } from '../translate/validity.ts';
import type { Verdict } from './conditions.ts';
import type { IssuerProblem } from '../ca/issuer.ts';
import type { ControllerContext } from './context.ts';
import type { RotationOutcome } from './root-rotation.ts';
import { meshInView } from './in-view.ts';
import { accepted, programmedVerdict, refused } from './verdicts.ts';
import { writeConditions } from './write-status.ts';

export const meshName = 'default';
const maxNames = 10;

/** `roots`: what is to be said of the CA's issuer and of root rotation; null: as before, until somebody has looked. */
export async function reconcileMesh(
  context: ControllerContext,
  roots: Pick<RotationOutcome, 'verdict' | 'problem'> | null,
): Promise<void> {
  const mesh = context.stores.meshes.get('', meshName);
  if (mesh === undefined) {
    await createDefaultMesh(context);
    return;
  }
  // The view that has it wakes this again.
  if (!meshInView(context.view(), mesh)) return;
  const acceptance = acceptMesh(mesh);
  const ca = caVerdict(context, roots?.problem ?? null);
  const programmed = programmedVerdict(acceptance, () => context.insight.programmed('Mesh', mesh));
  const before = mesh.status?.conditions?.find(({ type }) => type === 'RootRotation');
  const rotation = (roots === null ? before : roots.verdict) ?? [];
  const expiring = expiryVerdict(context.insight.expiring());
  const verdicts = [acceptance, ca, programmed].concat(rotation, expiring ?? []);
  await writeConditions(context, 'Mesh', mesh, verdicts);
}

/** A CA that issues is ready, whatever its issuer says; that it cannot be followed is said beside it. */
function caVerdict(context: ControllerContext, problem: IssuerProblem | null): Verdict {
  const condition = context.ca.condition(context.clock.wallTimeMs());
  const shown = condition.status === 'True' && problem !== null ? problem : condition;
  return { type: 'CAReady', status: condition.status, ...shown };
}

/** Null where no certificate is about to end. Pure. */
export function expiryVerdict(expiring: readonly ExpiringCertificate[]): Verdict | null {
  const first = expiring[0];
  if (first === undefined) return null;
  const end = new Date(first.notAfterMs).toISOString().replace(/\.\d{3}Z$/, 'Z');
  const names = expiring.slice(0, maxNames).map(({ pod }) => pod);
  const more = expiring.length > maxNames ? ` and ${expiring.length - maxNames} more` : '';
  const message = `the certificates of ${expiring.length} sidecars are in the last tenth of their life, the first ends at ${end}: ${names.join(', ')}${more}`;
  return { type: 'CertificatesExpiring', status: 'True', reason: 'NotRenewed', message };
}

/** Pure. */
export function acceptMesh(mesh: Mesh): Verdict {
  const faults = meshFaults(mesh.spec);
  if (faults.length === 0) return accepted('holds for the whole mesh');
  return refused('Invalid', faults.map((fault) => `${fault.path}: ${fault.message}`).join('; '));
}

/**
 * An empty spec: the API server fills in the defaults of the CRD, which is where they are written. But the
 * trust domain stays the one that the CA was made for: every identity contains it.
 */
async function createDefaultMesh(context: ControllerContext): Promise<void> {
  try {
    const trustDomain = context.ca.current(context.clock.wallTimeMs())?.trustDomain ?? null;
    const spec = trustDomain === null ? {} : { trustDomain };
    await context.api.create<Mesh>('Mesh', { metadata: { name: meshName }, spec });
    context.logger.info('there was no Mesh: created one with the defaults');
  } catch (error) {
    if (error instanceof ApiError && error.code === 'AlreadyExists') return;
    throw error;
  }
}
