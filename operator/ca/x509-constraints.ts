// What a CA certificate forbids those below it (RFC 5280 §4.2.1.9 and §4.2.1.10), read from its DER.
// Reading only; whether the mesh fits is decided elsewhere.

import { contentOfExtension, readDer, type DerNode } from './x509.ts';

export interface NameLists {
  uris: string[];
  dnsNames: string[];
  /** Whether there is any directory name. */
  directory: boolean;
}

export interface NameConstraints {
  permitted: NameLists;
  excluded: NameLists;
}

export interface Constraints {
  /** Null: any number. */
  pathLength: number | null;
  names: NameConstraints | null;
}

const basicConstraints = '2.5.29.19';
const nameConstraints = '2.5.29.30';
/** Context tags of GeneralName. */
const tags = { dns: 2, directory: 4, uri: 6 } as const;

/** Throws where the DER is not a certificate. */
export function constraintsOf(der: Buffer): Constraints {
  const names = contentOfExtension(der, nameConstraints);
  return {
    pathLength: pathLengthOf(contentOfExtension(der, basicConstraints)),
    names: names === null ? null : namesOf(readDer(names)),
  };
}

/** BasicConstraints ::= SEQUENCE { cA BOOLEAN, pathLenConstraint INTEGER OPTIONAL }. */
function pathLengthOf(content: string | null): number | null {
  const integer = content === null ? undefined : readDer(content).children[1];
  if (integer === undefined) return null;
  return Buffer.from(integer.bytes, 'latin1').reduce((number, byte) => number * 256 + byte, 0);
}

/** NameConstraints ::= SEQUENCE { permittedSubtrees [0], excludedSubtrees [1] }, each a list. */
function namesOf(node: DerNode): NameConstraints {
  const lists = (tag: number) => listsOf(node.children.find((one) => one.tag === tag));
  return { permitted: lists(0), excluded: lists(1) };
}

function listsOf(subtrees: DerNode | undefined): NameLists {
  const bases = (subtrees?.children ?? []).flatMap(({ children }) => children.slice(0, 1));
  const textsOf = (tag: number) =>
    bases.filter((base) => base.tag === tag).map(({ bytes }) => bytes);
  return {
    uris: textsOf(tags.uri),
    dnsNames: textsOf(tags.dns),
    directory: bases.some((base) => base.tag === tags.directory),
  };
}
