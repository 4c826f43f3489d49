import { describe, expect, it } from '@jest/globals';
import {
  checkBootstrap,
  checkCaptureSettings,
  checkDownMessage,
  checkLocalFile,
} from './validate.ts';

describe('checking what enters a sidecar', () => {
  it('checks the envelope of a message, not the resources in it', () => {
    const push = { nonce: '1', resources: [{ version: 'v', resource: { bad: 1 } }], removed: [] };
    expect(checkDownMessage({ push }).ok).toBe(true);
    expect(checkDownMessage({ push, reconnect: true }).ok).toBe(false);
    expect(checkDownMessage({}).ok).toBe(false);
  });

  it('checks probes by their kind', () => {
    const probe = (check: object) => ({
      trustDomain: 'cluster.local',
      serviceAccount: 'cart',
      operatorAddresses: ['10.96.0.9:15012'],
      logLevel: 'info',
      gracePeriodSeconds: 30,
      hookToken: 'a'.repeat(32),
      probes: [{ path: '/probe/app/liveness', timeoutSeconds: 1, check }],
    });
    expect(checkBootstrap(probe({ type: 'tcp', host: '', port: 8080 })).ok).toBe(true);
    expect(checkBootstrap(probe({ type: 'http', port: 8080 })).ok).toBe(false);
    expect(checkBootstrap(probe({ type: 'exec', port: 8080 })).ok).toBe(false);
  });

  it('refuses unknown fields where people write', () => {
    expect(checkLocalFile({ resources: [], outbuond: [] })).toEqual({
      ok: false,
      fault: { path: '', message: 'has an unknown field "outbuond"' },
    });
    const settings = {
      excludeInboundPorts: [],
      excludeOutboundPorts: [70000],
      excludeOutboundCidrs: [],
    };
    expect(checkCaptureSettings(settings).ok).toBe(false);
  });
});
