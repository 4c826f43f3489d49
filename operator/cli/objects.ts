// Objects of Kubernetes as the command line holds them, with the place each came from. Pure.

import type { KubeObject } from '../resources/kubernetes.ts';

export interface Origin {
  readonly file: string;
  /** Documents of a file count from 1. */
  readonly document: number;
}

export interface FileObject {
  readonly kind: string;
  readonly object: KubeObject;
  readonly origin: Origin;
}

/** `policies/cart.yaml:2`: the second document. */
export function originText({ file, document }: Origin): string {
  return `${file}:${document}`;
}
