// Which sidecars would be sent something else, from what the operator says that each holds: translated before and after by the
// operator's own code. Pure.

import type { ResourceKey } from '../../../proxy/api/resources.ts';
import type { HoldingRow } from '../../console/api.ts';
import { objectKey, type View } from '../../model/view.ts';
import { desiredOf } from '../../telemetry/programmed.ts';
import {
  createTranslations,
  type Translations,
  type Versioned,
} from '../../translate/translations.ts';
import { labelOf } from '../explain/parties.ts';

/** Sidecars of one workload that are sent the same. */
export interface Touched {
  workload: string;
  pods: string[];
  /** `what it is itself`, `what it calls at cart.shop:80`. */
  resources: string[];
}

export interface TouchedSidecars {
  touched: Touched[];
  /** Sidecars that are connected. */
  of: number;
}

export function touchedBy(
  before: View,
  after: View,
  holdings: readonly HoldingRow[],
): TouchedSidecars {
  const [old, young] = [translationsOf(before), translationsOf(after)];
  const groups = new Map<string, Touched>();
  for (const { namespace, pod, destinations } of holdings) {
    const key = objectKey(namespace, pod);
    const entry = after.pods.get(key) ?? before.pods.get(key);
    if (entry === undefined) continue;
    const held = { subscriptions: destinations };
    const was = before.pods.has(key)
      ? desiredOf(held, entry, old)
      : new Map<ResourceKey, Versioned>();
    const is = after.pods.has(key)
      ? desiredOf(held, entry, young)
      : new Map<ResourceKey, Versioned>();
    const resources = changedResources(was, is);
    if (resources.length === 0) continue;
    const name = JSON.stringify([labelOf(entry), resources]);
    const known = groups.get(name);
    if (known === undefined) groups.set(name, { workload: labelOf(entry), pods: [pod], resources });
    else known.pods.push(pod);
  }
  return { touched: [...groups.values()], of: holdings.length };
}

function translationsOf(view: View): Translations {
  const made = createTranslations();
  made.advance(view, { keys: new Set() });
  return made;
}

type Desired = ReadonlyMap<ResourceKey, Versioned>;

function changedResources(was: Desired, is: Desired): string[] {
  const keys = new Set([...was.keys(), ...is.keys()]);
  const names = [...keys].flatMap((key) => {
    const [old, young] = [was.get(key), is.get(key)];
    return old?.version === young?.version ? [] : [wordsFor((young ?? old)!)];
  });
  return [...new Set(names)];
}

function wordsFor({ resource }: Versioned): string {
  if (resource.type === 'Workload') return 'how it takes calls';
  if (resource.type === 'Destination') return `how it calls ${resource.host}`;
  return `the endpoints ${resource.name}`;
}
