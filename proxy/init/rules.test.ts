import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { CaptureSettings } from '../api/bootstrap.ts';
import { captureRules, type Family } from './rules.ts';

const plain: CaptureSettings = {
  excludeInboundPorts: [],
  excludeOutboundPorts: [],
  excludeOutboundCidrs: [],
};
const excluding: CaptureSettings = {
  excludeInboundPorts: [9090, 22, 22],
  excludeOutboundPorts: [3306],
  excludeOutboundCidrs: ['169.254.169.254/32', 'fd00:1::/64', '10.1.0.0/16'],
};

function expectGolden(name: string, text: string): void {
  const path = join(import.meta.dirname, 'golden', name);
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, text);
  expect(text).toBe(readFileSync(path, 'utf8'));
}

describe('capture rules', () => {
  it.each<[string, CaptureSettings, Family]>([
    ['plain-ipv4.rules', plain, 'ipv4'],
    ['plain-ipv6.rules', plain, 'ipv6'],
    ['excluding-ipv4.rules', excluding, 'ipv4'],
    ['excluding-ipv6.rules', excluding, 'ipv6'],
  ])('are those of %s', (name, settings, family) => {
    expectGolden(name, captureRules(settings, family, ''));
  });

  it('add no jump that stands already', () => {
    const first = captureRules(plain, 'ipv4', '');
    const second = captureRules(plain, 'ipv4', first);
    const added = first.split('\n').filter((line) => !second.split('\n').includes(line));
    expect(added).toEqual([
      '-A INPUT -p tcp -j TSMESH_INVALID',
      '-A PREROUTING -p tcp -j TSMESH_INBOUND',
      '-A OUTPUT -p tcp -j TSMESH_OUTBOUND',
    ]);
  });
});
