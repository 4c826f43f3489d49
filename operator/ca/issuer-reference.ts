// The issuer that Mesh `default` names, with its defaults. Pure.

import type { IssuerReference, Mesh } from '../resources/tsmesh.ts';

/** Null where the mesh issues by itself. */
export function issuerOf(mesh: Mesh | null): Required<IssuerReference> | null {
  const issuer = mesh?.spec.certificates?.issuer;
  if (issuer === undefined) return null;
  const { name, kind = 'Issuer', group = 'cert-manager.io' } = issuer;
  return { name, kind, group };
}

/** `cert-manager.io/Issuer/corporate`: as the CA Secret remembers it. */
export function issuerText({ name, kind, group }: Required<IssuerReference>): string {
  return `${group}/${kind}/${name}`;
}
