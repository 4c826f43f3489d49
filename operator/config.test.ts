import { describe, expect, it } from '@jest/globals';
import { readConfig } from './config.ts';

const given = {
  POD_NAME: 'tsmesh-operator-1',
  POD_IP: '10.0.0.1',
  TSMESH_PROXY_IMAGE: 'registry.example:5000/tsmesh/proxy:v1',
  TSMESH_INIT_IMAGE: 'tsmesh/init@sha256:0123',
};

describe('the settings of the operator', () => {
  it('are complete with what the Deployment gives', () => {
    expect(readConfig(given)).toEqual({
      ok: true,
      config: {
        podName: 'tsmesh-operator-1',
        podIp: '10.0.0.1',
        namespace: 'tsmesh-system',
        proxyImage: 'registry.example:5000/tsmesh/proxy:v1',
        initImage: 'tsmesh/init@sha256:0123',
        logLevel: 'info',
        kubeconfig: null,
        discoveryHost: null,
        webhookClientCa: null,
        ports: { webhook: 9443, discovery: 15012, health: 8080, console: 15030 },
      },
    });
  });

  it('name every variable that is missing or wrong, and what would be valid, at once', () => {
    const read = readConfig({
      ...given,
      POD_NAME: undefined,
      TSMESH_LOG_LEVEL: 'loud',
      TSMESH_INIT_IMAGE: 'a b',
    });
    expect(read).toEqual({
      ok: false,
      problems: [
        'POD_NAME is not set; it must be the name of this pod',
        expect.stringMatching(/^TSMESH_INIT_IMAGE: "a b" is not valid; .*tsmesh\/init/),
        'TSMESH_LOG_LEVEL: "loud" is not valid; it must be error, warn, info, debug',
      ],
    });
  });

  it.each(['70000', '-1', '80a'])('refuse the port %s', (port) => {
    const read = readConfig({ ...given, TSMESH_HEALTH_PORT: port });
    expect(read).toMatchObject({
      ok: false,
      problems: [expect.stringContaining('TSMESH_HEALTH_PORT')],
    });
  });
});
