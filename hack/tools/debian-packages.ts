// Debian packages that tests, benchmarks and the embedded cluster run. Installs what is missing where it
// can, and names the command where it cannot.
import { existsSync } from 'node:fs';
import { mustRun, run } from '../lib/command.ts';
import { step } from '../lib/steps.ts';

/** A file that proves that the package is there, and the package. */
export type DebianPackage = readonly [file: string, pkg: string];

/** Installs the missing packages; without root or apt it says what a person would have to type. */
export async function ensureDebianPackages(required: readonly DebianPackage[]): Promise<void> {
  const missing = required.filter(([file]) => !existsSync(file)).map(([, pkg]) => pkg);
  if (missing.length === 0) return;
  const command = `apt-get update && apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  const apt = (await run('apt-get', ['--version'])).code === 0;
  if (process.getuid?.() !== 0 || !apt) {
    throw new Error(`missing on this machine: ${missing.join(', ')}; the fix, as root: ${command}`);
  }
  await step(`Debian packages: installing ${missing.join(' ')}`, async () => {
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    await mustRun('apt-get', ['-q', 'update'], { env });
    const install = ['-q', 'install', '-y', '--no-install-recommends', ...missing];
    // Package scripts try to start services; in a container without systemd that fails harmlessly.
    await mustRun('apt-get', install, { env });
  });
}
