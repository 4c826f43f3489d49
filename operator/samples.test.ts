// The samples that ship: each stands in the kustomization under a name of its own, and is without fault by the
// CRDs and by the operator. (That an API server takes them: test/cluster/crds.test.ts.)

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { checkObjects } from './cli/files/check.ts';
import { readDocuments } from './cli/files/documents.ts';
import { validateResource } from './inject/validate-handler.ts';

const folder = join(import.meta.dirname, '..', 'config', 'samples');
const files = readdirSync(folder).filter((name) => name !== 'kustomization.yaml');
const textOf = (name: string) => readFileSync(join(folder, name), 'utf8');

describe('samples', () => {
  it.each(files)('are without fault: %s', (name) => {
    const { objects } = readDocuments([{ name, text: textOf(name) }], 'default');
    expect(objects.length).toBeGreaterThan(0);
    expect(checkObjects(objects).faults).toEqual([]);
    for (const { kind, object } of objects)
      expect(validateResource(kind, object).faults).toEqual([]);
  });

  it('stand in the kustomization, each under a name of its own', () => {
    const { resources } = parse(textOf('kustomization.yaml')) as { resources: string[] };
    expect(resources.toSorted()).toEqual(files.toSorted());
    const names = files.map((name) => {
      const { kind, metadata } = parse(textOf(name)) as {
        kind: string;
        metadata: { name: string };
      };
      return `${kind}/${metadata.name}`;
    });
    expect(new Set(names).size).toBe(names.length);
  });
});
