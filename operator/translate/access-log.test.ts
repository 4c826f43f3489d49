import { describe, expect, it } from '@jest/globals';
import { mesh, namespace, pod, viewOf } from '../model/test-objects.ts';
import type { MeshSpec } from '../resources/tsmesh.ts';
import { accessLogWish } from '../resources/access-log.ts';
import { accessLogOf } from './access-log.ts';
import { translateWorkload } from './workload.ts';

type Annotations = Record<string, string>;
const mode = 'tsmesh.dev/access-log';
const format = 'tsmesh.dev/access-log-format';
const sampling = 'tsmesh.dev/access-log-sampling';

function settingsOf(spec: MeshSpec, around: Annotations, own: Annotations) {
  const meshed = pod('shop/cart-1', { ip: '10.0.0.1' });
  meshed.metadata.annotations = own;
  const view = viewOf({
    Mesh: [mesh(spec)],
    Namespace: [namespace('shop', around)],
    Pod: [meshed],
  });
  return accessLogOf(view, view.pods.get('shop/cart-1')!);
}

describe('the access log of a pod', () => {
  it('is of errors where nobody says anything', () => {
    expect(settingsOf({}, {}, {})).toEqual({ accessLog: 'errors' });
  });

  it('is what the Mesh says', () => {
    const spec = { accessLog: 'all', accessLogFormat: 'text', accessLogSampling: 5 } as const;
    expect(settingsOf(spec, {}, {})).toEqual(spec);
  });

  it('is what the namespace says before the Mesh, and what the pod says before both', () => {
    expect(settingsOf({ accessLog: 'all' }, { [mode]: 'none' }, {})).toEqual({
      accessLog: 'off',
      accessLogDecidedBy: `annotation ${mode} of namespace shop`,
    });
    expect(settingsOf({ accessLog: 'none' }, { [mode]: 'none' }, { [mode]: 'all' })).toEqual({
      accessLog: 'all',
      accessLogDecidedBy: `annotation ${mode} of pod shop/cart-1`,
    });
  });

  it('takes mode, format and share each from where it is said', () => {
    const spec = { accessLog: 'all' } as const;
    expect(settingsOf(spec, { [format]: 'text', [sampling]: '50' }, { [sampling]: '0.5' })).toEqual(
      { accessLog: 'all', accessLogFormat: 'text', accessLogSampling: 0.5 },
    );
  });

  it('goes by the next where a value is not valid', () => {
    const own = { [mode]: 'off', [format]: 'xml', [sampling]: '101' };
    expect(settingsOf({ accessLog: 'all' }, { [format]: 'text' }, own)).toEqual({
      accessLog: 'all',
      accessLogFormat: 'text',
    });
    expect(accessLogWish(own)?.faults).toEqual([
      `annotation ${mode}: "off" is not valid; valid: none, errors or all`,
      `annotation ${format}: "xml" is not valid; valid: json or text`,
      `annotation ${sampling}: "101" is not valid; valid: a percentage from 0 to 100, such as 10 or 0.5`,
    ]);
  });

  it('is read anew when the namespace changes', () => {
    const view = viewOf({ Pod: [pod('shop/cart-1', { ip: '10.0.0.1' })] });
    const { dependsOn } = translateWorkload(view, 'shop/cart-1')!;
    expect(dependsOn).toContain('namespace:shop');
  });

  it.each(['', '1e2', '-1', '100.1', '1.', 'ten', ' 5'])('takes no %j for a percentage', (text) => {
    expect(accessLogWish({ [sampling]: text })?.faults).toHaveLength(1);
  });
});
