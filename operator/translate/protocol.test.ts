import { describe, expect, it } from '@jest/globals';
import { pod, service, viewOf } from '../model/test-objects.ts';
import { declaredProtocol, podPortProtocols, targetPort } from './protocol.ts';

describe('the declared protocol', () => {
  it.each([
    [undefined, 'http', 'http1'],
    [undefined, 'HTTP-web', 'http1'],
    [undefined, 'http2', 'http2'],
    [undefined, 'grpc-api', 'http2'],
    [undefined, 'grpc-web', 'auto'],
    [undefined, 'grpc-web-api', 'auto'],
    [undefined, 'grpc-webshop', 'http2'],
    [undefined, 'https', 'tcp'],
    [undefined, 'tcp-x', 'tcp'],
    [undefined, 'mysql', 'tcp'],
    [undefined, 'metrics', 'auto'],
    [undefined, '', 'auto'],
    ['kubernetes.io/h2c', 'tcp', 'http2'],
    ['kubernetes.io/ws', '', 'http1'],
    ['HTTP', 'tcp', 'http1'],
    ['example.com/own', 'http', 'auto'],
  ])('appProtocol %s and name "%s" mean %s', (appProtocol, name, expected) => {
    expect(declaredProtocol(appProtocol, name)).toBe(expected);
  });
});

describe('the pod port of a Service port', () => {
  const web = viewOf({ Pod: [pod('shop/a', { ports: [{ name: 'web', containerPort: 8080 }] })] });
  const entry = web.pods.get('shop/a')!;
  it.each([
    [{ port: 80 }, 80],
    [{ port: 80, targetPort: 0 }, 80],
    [{ port: 80, targetPort: 9000 }, 9000],
    [{ port: 80, targetPort: 'web' }, 8080],
    [{ port: 80, targetPort: 'other' }, null],
  ])('of %o is %s', (port, expected) => {
    expect(targetPort(port, entry)).toBe(expected);
  });
});

describe('the protocols of a pod', () => {
  it('come from the oldest Service that declares one, else from the container', () => {
    const aged = (name: string, day: number, portName: string, targetPort: number | string) => {
      const one = service(
        `shop/${name}`,
        'None',
        [
          { name: portName, port: 80, targetPort },
          { name: 'dns', port: 53, protocol: 'UDP' },
        ],
        { selector: { app: 'a' } },
      );
      const creationTimestamp = `2026-01-0${day}T00:00:00Z`;
      return { ...one, metadata: { ...one.metadata, creationTimestamp } };
    };
    const view = viewOf({
      Pod: [
        pod('shop/a', {
          labels: { app: 'a' },
          ports: [
            { name: 'grpc-x', containerPort: 8080 },
            { name: 'http', containerPort: 9000 },
          ],
        }),
      ],
      Service: [
        aged('young', 3, 'http', 8080),
        aged('old', 2, 'tcp', 8080),
        aged('oldest', 1, 'undeclared', 8080),
        aged('lost', 1, 'http', 'no-such-port'),
        service('shop/none', 'None', [{ port: 80 }], { selector: {} }),
        service('shop/other', 'None', [{ name: 'http', port: 7 }], { selector: { app: 'b' } }),
        service('shop/manual', 'None', [{ name: 'http', port: 8 }], { selector: undefined }),
        service('shop/portless', 'None', [], { selector: { app: 'a' }, ports: undefined }),
      ],
    });
    const found = podPortProtocols(view, view.pods.get('shop/a')!);
    expect([...found]).toEqual([
      [8080, 'tcp'],
      [9000, 'http1'],
    ]);
  });

  it('are none in a namespace without Services', () => {
    const view = viewOf({ Pod: [pod('shop/a')] });
    expect(podPortProtocols(view, view.pods.get('shop/a')!).size).toBe(0);
  });
});
