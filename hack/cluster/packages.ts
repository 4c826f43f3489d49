// The Debian packages that the embedded cluster runs on.
import { ensureDebianPackages, type DebianPackage } from '../tools/debian-packages.ts';

const required: readonly DebianPackage[] = [
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

export async function ensurePackages(): Promise<void> {
  await ensureDebianPackages(required);
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
