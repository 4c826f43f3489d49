// cert-manager for tests: its own controllers as one program, built from Go modules, and its CRDs.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../lib/command.ts';
import { repository } from '../lib/paths.ts';
import { ensureBuilt } from './go-recipes.ts';

const module = 'github.com/cert-manager/cert-manager';
const version = '1.21.2';
const crdFiles = ['certificaterequests', 'clusterissuers', 'issuers', 'certificates'];

export interface CertManager {
  /** Takes --kubeconfig and --approve. */
  program: string;
  /** Manifests of its CRDs. */
  crds: string[];
}

export async function ensureCertManager(): Promise<CertManager> {
  const built = await ensureBuilt({
    name: 'cert-manager',
    version,
    module: 'cert-manager',
    binaries: { 'cert-manager-controllers': 'tsmesh.dev/cert-manager' },
    ldflags: '-s -w',
  });
  const cwd = join(repository, 'hack/cluster/go/cert-manager');
  const sources = await mustRun('go', ['mod', 'download', '-json', `${module}@v${version}`], {
    cwd,
  });
  const { Dir: folder } = JSON.parse(sources) as { Dir: string };
  const crds = crdFiles.map((name) =>
    readFileSync(join(folder, 'deploy/crds', `cert-manager.io_${name}.yaml`), 'utf8'),
  );
  return { program: join(built, 'cert-manager-controllers'), crds };
}
