import { describe, expect, it } from '@jest/globals';
import type { Bootstrap } from '../../proxy/api/bootstrap.ts';
import { injectPod } from './inject-pod.ts';
import { injected, inputOf, podOf } from './test-pods.ts';

function inject(annotations: Record<string, string>) {
  const input = podOf({}, annotations);
  const pod = injected(input, injectPod(inputOf(input)));
  const env = pod.spec.initContainers![1]!.env!;
  const bootstrap = JSON.parse(env[0]!.value!) as Bootstrap;
  const said = Object.fromEntries(
    Object.entries(pod.metadata.annotations!).filter(([key]) => key.startsWith('prometheus.io/')),
  );
  return { pod, said, appMetrics: bootstrap.appMetrics };
}

const scrape = { 'prometheus.io/scrape': 'true', 'prometheus.io/port': '9100' };
const turned = {
  'prometheus.io/scrape': 'true',
  'prometheus.io/port': '15020',
  'prometheus.io/path': '/metrics',
};

describe('a pod that Prometheus is to scrape', () => {
  it('is scraped at the health port, and the sidecar is told where the app has its own', () => {
    expect(inject(scrape)).toMatchObject({ said: turned, appMetrics: { port: 9100 } });
    const path = { ...scrape, 'prometheus.io/path': '/stats?all' };
    expect(inject(path)).toMatchObject({
      said: turned,
      appMetrics: { port: 9100, path: '/stats?all' },
    });
  });

  it('is the same after a second injection', () => {
    const { pod } = inject({ ...scrape, 'prometheus.io/path': '/stats' });
    const again = injectPod(inputOf(pod));
    expect(again).toMatchObject({ result: 'injected', patch: [] });
  });

  it('follows what its author changed in between', () => {
    const { pod } = inject(scrape);
    pod.metadata.annotations!['prometheus.io/port'] = '9200';
    const again = injected(pod, injectPod(inputOf(pod)));
    expect(again.spec.initContainers![1]!.env![0]!.value).toContain('"port":9200');
    expect(again.metadata.annotations).toMatchObject(turned);
  });

  it.each([
    ['nobody asked', { 'prometheus.io/port': '9100' }],
    ['it says no port', { 'prometheus.io/scrape': 'true' }],
    ['its port is none', { ...scrape, 'prometheus.io/port': '99999' }],
    ['its scheme is https', { ...scrape, 'prometheus.io/scheme': 'https' }],
    ['its path is none', { ...scrape, 'prometheus.io/path': 'metrics' }],
    ['its port is not captured', { ...scrape, 'tsmesh.dev/exclude-inbound-ports': '9100' }],
    ['it names the health port', { ...scrape, 'prometheus.io/port': '15020' }],
  ])('is left as it is where %s', (_why, annotations) => {
    const { said, appMetrics } = inject(annotations);
    const given = Object.entries(annotations).filter(([key]) => key.startsWith('prometheus.io/'));
    expect(said).toEqual(Object.fromEntries(given));
    expect(appMetrics).toBeUndefined();
  });
});
