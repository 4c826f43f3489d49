// Which namespaces are in the mesh. Pure.

import type { View } from '../model/view.ts';

/** Injection mirrors the annotation to this label. */
const injectLabel = 'tsmesh.dev/inject';

/** Those whose new pods get a sidecar, whatever runs in them. */
export function meshedNamespaces(view: View): Set<string> {
  const names = [...view.namespaces].flatMap(([name, { metadata }]) => {
    const { labels = {}, annotations = {} } = metadata;
    const meshed = labels[injectLabel] === 'enabled' || annotations[injectLabel] === 'enabled';
    return meshed ? [name] : [];
  });
  return new Set(names);
}
