import { describe, expect, it } from '@jest/globals';
import type { CaptureSettings } from '../api/bootstrap.ts';
import { installCapture, type CommandResult } from './runner.ts';

const settings: CaptureSettings = {
  excludeInboundPorts: [],
  excludeOutboundPorts: [],
  excludeOutboundCidrs: [],
};
const eth0 = 'fd000000000000000000000000000007 02 40 00 80     eth0\n';
const onlyLoopback = '00000000000000000000000000000001 01 80 10 80       lo\n';

/** Programs whose name holds one of `broken` fail; the others keep what they were told. */
function machine(broken: string[], addresses: string | null) {
  const restored = new Map<string, string>();
  const logged: string[] = [];
  const run = (program: string, _args: readonly string[], input: string): CommandResult => {
    if (broken.some((part) => program.startsWith(part))) {
      return { status: 1, stdout: '', stderr: `${program}: no such table\n` };
    }
    if (program.endsWith('-restore')) restored.set(program, input);
    return { status: 0, stdout: '', stderr: '' };
  };
  const deps = {
    run,
    readIpv6Addresses: () => addresses,
    log: (text: string) => logged.push(text),
  };
  return { deps, restored, logged };
}

describe('installing the capture rules', () => {
  it('uses nft for both families where it works', () => {
    const { deps, restored } = machine([], eth0);
    installCapture(settings, deps);
    expect([...restored.keys()]).toEqual(['iptables-nft-restore', 'ip6tables-nft-restore']);
  });

  it('falls back to legacy where nft fails', () => {
    const { deps, restored } = machine(['iptables-nft', 'ip6tables-nft'], eth0);
    expect(installCapture(settings, deps)).toEqual([
      'ipv4 captured with iptables (legacy)',
      'ipv6 captured with iptables (legacy)',
    ]);
    expect([...restored.keys()]).toEqual(['iptables-legacy-restore', 'ip6tables-legacy-restore']);
  });

  it('fails with what both backends said where IPv4 cannot be captured', () => {
    const { deps } = machine(['iptables'], eth0);
    expect(() => installCapture(settings, deps)).toThrow(
      'IPv4 cannot be captured: nft: iptables-nft-save: no such table; legacy: iptables-legacy-save: no such table',
    );
  });

  it('fails where the pod has an IPv6 address that cannot be captured', () => {
    const { deps } = machine(['ip6tables'], onlyLoopback + eth0);
    expect(() => installCapture(settings, deps)).toThrow('would bypass the mesh');
  });

  it.each([
    ['only loopback has an IPv6 address', onlyLoopback],
    ['the kernel has no IPv6', null],
  ])('goes on without IPv6 where %s', (_what, addresses) => {
    const { deps, restored } = machine(['ip6tables'], addresses);
    installCapture(settings, deps);
    expect([...restored.keys()]).toEqual(['iptables-nft-restore']);
  });
});
