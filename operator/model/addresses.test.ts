import { describe, expect, it } from '@jest/globals';
import { canonicalAddress, parseDestinationName } from './addresses.ts';

describe('the canonical text of an address', () => {
  it.each([
    ['10.0.0.1', '10.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['FD00:0:0:0::01', 'fd00::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['not:an:address', 'not:an:address'],
  ])('of %s is %s', (text, expected) => {
    expect(canonicalAddress(text)).toBe(expected);
  });
});

describe('the name of a destination', () => {
  it.each([
    ['10.96.0.7:80', { address: '10.96.0.7', port: 80 }],
    ['[fd00::7]:443', { address: 'fd00::7', port: 443 }],
    ['10.96.0.7', null],
    ['10.96.0.7:0', null],
    ['10.96.0.7:65536', null],
    ['10.96.0.256:80', null],
    ['fd00::7:80', null],
    ['[:::]:80', null],
    ['cart:80', null],
    ['10.96.0.7:80/x', null],
  ])('%s parses to %o', (text, expected) => {
    expect(parseDestinationName(text)).toEqual(expected);
  });
});
