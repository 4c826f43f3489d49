// Whether the cluster's own components follow the apiserver: after it was away, each of them comes
// back in its own time, and a test would blame the mesh for names and addresses that are missing.
import { Resolver } from 'node:dns/promises';
import type { CommandResult } from '../lib/command.ts';
import type { Kubectl } from '../lib/kubectl.ts';
import { waitFor } from '../lib/wait.ts';
import type { ClusterSettings } from './settings.ts';

const NAME = 'tsmesh-probe';
const TIMEOUT_MS = 60_000;

/** Returns when a Service made now is known to DNS and to kube-proxy, and gets its endpoints. */
export async function componentsFollow(
  settings: ClusterSettings,
  kubectl: Kubectl,
  runInside: (args: readonly string[]) => Promise<CommandResult>,
): Promise<void> {
  const metadata = { name: NAME, namespace: 'kube-system' };
  // The endpoints are those of DNS itself: they show that the controller manager follows too.
  const spec = { selector: { 'k8s-app': 'kube-dns' }, ports: [{ port: 1, targetPort: 8181 }] };
  const service = { apiVersion: 'v1', kind: 'Service', metadata, spec };
  const remove = ['-n', 'kube-system', 'delete', 'service', NAME, '--ignore-not-found'];
  await kubectl(remove);
  await kubectl(['create', '-f', '-'], JSON.stringify(service));
  try {
    const resolver = new Resolver({ timeout: 1000, tries: 1 });
    resolver.setServers([settings.dnsAddress]);
    await waitFor('DNS to know a new Service', TIMEOUT_MS, async () => {
      const found = await resolver.resolve4(`${NAME}.kube-system.svc.cluster.local`);
      return found.length > 0;
    });
    await waitFor('kube-proxy to know a new Service', TIMEOUT_MS, async () => {
      const { stdout } = await runInside(['iptables-save', '-t', 'nat']);
      return stdout.includes(`kube-system/${NAME} ->`);
    });
  } finally {
    await kubectl(remove);
  }
}
