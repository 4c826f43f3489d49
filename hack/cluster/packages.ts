// The Debian packages that the embedded cluster runs on. Installs what is missing where it can, and
// names the command where it cannot.
import { existsSync } from 'node:fs';
import { mustRun, run } from '../lib/command.ts';
import { step } from '../lib/steps.ts';

/** A file that proves that the package is there, and the package. */
const required: readonly (readonly [file: string, pkg: string])[] = [
  ['/usr/bin/containerd', 'containerd'],
  ['/usr/sbin/runc', 'runc'],
  ['/usr/lib/cni/bridge', 'containernetworking-plugins'],
  ['/usr/sbin/iptables', 'iptables'],
  ['/sbin/ip', 'iproute2'],
  ['/usr/sbin/conntrack', 'conntrack'],
  ['/usr/bin/tcpdump', 'tcpdump'],
  ['/usr/bin/openssl', 'openssl'],
  ['/usr/bin/unshare', 'util-linux'],
  ['/bin/mount', 'mount'],
  ['/etc/ssl/certs/ca-certificates.crt', 'ca-certificates'],
];

/** Installs the missing packages; without root or apt it says what a person would have to type. */
export async function ensurePackages(): Promise<void> {
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

/** Refuses a machine on which the cluster cannot run, in words. */
export function requireRoot(): void {
  if (process.platform !== 'linux') throw new Error('the embedded cluster runs on Linux only');
  if (process.getuid?.() !== 0) {
    throw new Error(
      'root is needed for namespaces, mounts and iptables; the fix: sudo -E env PATH="$PATH" npm …, ' +
        'or name a cluster: npm run demo -- --kubeconfig FILE',
    );
  }
}
