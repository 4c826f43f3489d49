// Settings by annotation: what is read, and the words for what is wrong.

import { describe, expect, it } from '@jest/globals';
import { podAnnotations, readSettings } from './settings.ts';

function faultOf(name: string, value: string): string {
  const read = readSettings({ [`tsmesh.dev/${name}`]: value });
  return read.ok ? 'none' : read.message;
}

describe('annotations of a pod', () => {
  it('of others are left alone', () => {
    expect(readSettings({ 'example.com/inject': 'maybe' })).toMatchObject({ ok: true });
  });

  it('are read into settings', () => {
    expect(
      readSettings({
        'tsmesh.dev/exclude-inbound-ports': '1, 65535',
        'tsmesh.dev/exclude-outbound-ports': '',
        'tsmesh.dev/exclude-outbound-cidrs': '10.0.0.0/8,::/0',
        'tsmesh.dev/log-level': 'error',
      }),
    ).toEqual({
      ok: true,
      settings: {
        excludeInboundPorts: [1, 65535],
        excludeOutboundPorts: [],
        excludeOutboundCidrs: ['10.0.0.0/8', '::/0'],
        logLevel: 'error',
      },
    });
  });

  it('have examples that are valid', () => {
    for (const { name, example } of podAnnotations) {
      expect(readSettings({ [name]: example })).toMatchObject({ ok: true });
    }
  });

  it.each([
    ['inject', 'true'],
    ['exclude-inbound-ports', '0'],
    ['exclude-inbound-ports', '65536'],
    ['exclude-inbound-ports', '80,80'],
    ['exclude-inbound-ports', '80;81'],
    ['exclude-inbound-ports', '8e3'],
    ['exclude-outbound-ports', 'http'],
    ['exclude-outbound-ports', Array.from({ length: 65 }, (_, i) => i + 1).join(',')],
    ['exclude-outbound-cidrs', '10.0.0.0'],
    ['exclude-outbound-cidrs', '10.0.0.0/33'],
    ['exclude-outbound-cidrs', '::/129'],
    ['exclude-outbound-cidrs', '10.0.0.0/8/8'],
    ['proxy-cpu', '0'],
    ['proxy-cpu', '-1'],
    ['proxy-cpu', 'much'],
    ['proxy-cpu-limit', '1 core'],
    ['proxy-memory', '0Mi'],
    ['proxy-memory-limit', '95Mi'],
    ['proxy-memory-limit', '512mb'],
    ['log-level', 'trace'],
    ['proxy-concurrency', '0'],
    ['proxy-concurrency', '17'],
    ['proxy-concurrency', '1.5'],
    ['proxy-concurrency', 'auto'],
  ])('%s: "%s" is refused, with annotation, value and what is valid', (name, value) => {
    const message = faultOf(name, value);
    expect(message).toContain(`annotation tsmesh.dev/${name}: "${value}" is not valid`);
    expect(message).toMatch(/; valid: .{5}/);
  });

  it('that are misspelt are refused with the right one', () => {
    expect(faultOf('exclude-inbound-port', '80')).toContain(
      'did you mean tsmesh.dev/exclude-inbound-ports?',
    );
    expect(faultOf('loglevel', 'info')).toContain('did you mean tsmesh.dev/log-level?');
  });

  it('that are like no other are refused with the list of all', () => {
    const message = faultOf('color-of-the-proxy', 'blue');
    expect(message).not.toContain('did you mean');
    expect(message).toContain('tsmesh.dev/log-level');
  });

  it('that contradict each other are refused', () => {
    const read = readSettings({
      'tsmesh.dev/proxy-cpu': '2',
      'tsmesh.dev/proxy-cpu-limit': '1500m',
    });
    expect(read).toMatchObject({ message: expect.stringContaining('"2" is more than') });
  });

  it('that ask for more cores than the memory limit carries are refused', () => {
    const read = readSettings({
      'tsmesh.dev/proxy-concurrency': '4',
      'tsmesh.dev/proxy-memory-limit': '128Mi',
    });
    expect(read).toMatchObject({
      message: expect.stringContaining(
        '"4" needs tsmesh.dev/proxy-memory-limit to be at least 192Mi',
      ),
    });
  });

  it("cannot exclude the sidecar's own port", () => {
    expect(faultOf('exclude-inbound-ports', '15020')).toContain("sidecar's own port");
  });
});
