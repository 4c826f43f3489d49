// Whether namespaces that want sidecars can have them: the label that the webhooks go by, and Pod Security. Pure.

import { namespaceInjects } from '../../inject/eligibility.ts';
import { podSecurityWarning } from '../../inject/pod-security.ts';
import { injectKey } from '../../inject/settings.ts';
import { counted } from '../describe/units.ts';
import type { Facts } from './facts.ts';
import { names, ok, unread, type Finding } from './finding.ts';

export function namespaces({ namespaces: fact }: Facts): Finding[] {
  const check = 'namespaces';
  if (!('value' in fact))
    return [unread(check, 'the namespaces', 'unread' in fact ? fact.unread : '')];
  const meshed = fact.value.filter(namespaceInjects);
  if (meshed.length === 0) {
    const remedy = `kubectl annotate namespace NAME ${injectKey}=enabled`;
    return [{ check, level: 'warning', text: 'none is meshed', remedy }];
  }
  const found: Finding[] = [];
  const unlabelled = meshed
    .filter(({ metadata }) => metadata.labels?.[injectKey] !== 'enabled')
    .map(({ metadata }) => metadata.name);
  if (unlabelled.length > 0) {
    const text = `annotated, but without the label that brings sidecars: ${names(unlabelled)}`;
    const remedy = `the operator sets it: see its log; or kubectl label namespace ${unlabelled[0]!} ${injectKey}=enabled`;
    found.push({ check, level: 'error', text, remedy });
  }
  const strict = meshed.filter((one) => podSecurityWarning(one) !== null);
  if (strict.length > 0) {
    const who = names(strict.map(({ metadata }) => metadata.name));
    const text = `Pod Security refuses tsmesh-init (NET_ADMIN): pods will not start in ${who}`;
    const remedy = `kubectl label --overwrite namespace ${strict[0]!.metadata.name} pod-security.kubernetes.io/enforce=privileged`;
    found.push({ check, level: 'error', text, remedy });
  }
  return found.length > 0
    ? found
    : [
        ok(
          check,
          `${counted(meshed.length, 'namespace')} meshed: ${names(meshed.map((one) => one.metadata.name))}`,
        ),
      ];
}
