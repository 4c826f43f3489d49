import { describe, expect, it } from '@jest/globals';
import { blockHolds, parseIpAddress, parseIpBlock } from './ip-block.ts';

function holds(block: string, address: string): boolean {
  return blockHolds(parseIpBlock(block)!, parseIpAddress(address)!);
}

describe('an IP block', () => {
  it.each([
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.1.2.3/8', '10.9.9.9', true],
    ['10.0.0.1', '10.0.0.1', true],
    ['10.0.0.1', '10.0.0.2', false],
    ['0.0.0.0/0', '255.255.255.255', true],
    ['128.0.0.0/1', '200.0.0.1', true],
    ['192.168.1.128/25', '192.168.1.127', false],
    ['0.0.0.0/0', '::1', false],
    ['::/0', '10.0.0.1', false],
    ['::/0', 'fd00::1', true],
    ['fd00::/8', 'fdff:1::2', true],
    ['fd00:1:2:3::/64', 'fd00:1:2:3:4:5:6:7', true],
    ['fd00:1:2:3::/64', 'fd00:1:2:4::', false],
    ['fd00::/9', 'fd80::1', false],
    ['::1', '0:0:0:0:0:0:0:1', true],
    ['2001:DB8::/32', '2001:db8::1%eth0', true],
    ['::ffff:10.0.0.0/104', '10.7.7.7', true],
    ['10.0.0.0/8', '::ffff:a07:707', true],
    ['::ffff:0:0/90', '10.0.0.1', false],
    ['64:ff9b::10.0.0.1', '64:ff9b::a00:1', true],
  ])('%s with %s: %s', (block, address, expected) => {
    expect(holds(block, address)).toBe(expected);
  });

  it.each([
    '',
    'a',
    '10.0.0',
    '10.0.0.0.0',
    '10.0.0.256',
    '010.0.0.1',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '::/129',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8',
    '12345::',
    'g::',
    '10.0.0.1::',
    '::10.0.0.1:1',
    '1'.repeat(50),
    `${'0:'.repeat(30)}1`,
  ])('%j is none', (text) => {
    expect(parseIpBlock(text)).toBeNull();
  });
});
