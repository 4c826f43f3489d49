// A packet capture on the node: what really went over the pods' network, as bytes.
import { once } from 'node:events';
import { waitFor } from '../../hack/lib/wait.ts';
import { cluster } from './kubectl.ts';

/** Captures TCP on the bridge between all pods (not the node's loopback, where kubectl exec passes) while `action` runs; answers every captured byte as latin1 text. */
export async function captured(action: () => Promise<unknown>): Promise<string> {
  const args = ['tcpdump', '--immediate-mode', '-i', 'cni0', '-s', '0', '-U', '-w', '-', 'tcp'];
  const child = (await cluster()).nodeSpawn(args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks: Buffer[] = [];
  let words = '';
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => (words += chunk.toString()));
  const closed = once(child, 'close');
  try {
    await waitFor('tcpdump listening', 20_000, () => words.includes('listening on'));
    await action();
  } finally {
    child.kill('SIGINT');
    await closed;
  }
  return Buffer.concat(chunks).toString('latin1');
}
