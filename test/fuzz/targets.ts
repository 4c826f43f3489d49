// All fuzz targets, in the order in which a round takes them.
import { authorizationTargets } from './authorization-targets.ts';
import { certificateTargets } from './certificate-targets.ts';
import { h1Targets } from './h1-targets.ts';
import { h2Targets } from './h2-targets.ts';
import { hpackTargets } from './hpack-targets.ts';
import { pairTargets } from './pair-targets.ts';
import { parserTargets } from './parser-targets.ts';
import type { Target } from './target.ts';

export const targets: readonly Target[] = [
  ...h1Targets,
  ...h2Targets,
  ...hpackTargets,
  ...pairTargets,
  ...parserTargets,
  ...certificateTargets,
  ...authorizationTargets,
];
