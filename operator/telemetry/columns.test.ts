import { describe, expect, it } from '@jest/globals';
import { columnsOf, shareText, twoDigits, type ColumnInputs } from './columns.ts';
import { healthyVerdict } from './healthy.ts';
import type { SidecarRow } from './sidecars.ts';
import { sidecarRow } from './test-sidecar-rows.ts';

const nowMs = 1_000_000;

const sidecar = (given: Partial<SidecarRow> = {}) =>
  sidecarRow({ certificateEndMs: nowMs + 86_400_000, ...given });

function columns(given: Partial<ColumnInputs> = {}) {
  return columnsOf({
    sidecars: [],
    wanted: 0,
    inSync: 0,
    nearestExpiryMs: null,
    nowMs,
    figures: { requestsPerSecond: 0, success: null, p99Ms: null, mtls: null },
    problems: 0,
    ...given,
  });
}

describe('columns', () => {
  it.each([
    [0, '0'],
    [0.0123, '0.012'],
    [0.999, '1'],
    [12.34, '12'],
    [1234, '1200'],
    [98_765, '99000'],
  ])('write %d as %s', (value, text) => {
    expect(twoDigits(value)).toBe(text);
  });

  it.each([
    [0, '100'],
    [0.0005, '99.95'],
    [0.000_001, '99.999'],
    [0.0123, '98.7'],
    [0.001, '99.9'],
    [0.01, '99'],
    [0.104, '89'],
    [0.3, '70'],
    [0.5, '50'],
    [1, '0'],
  ])('never round %d that failed away: %s', (bad, text) => {
    expect(shareText(bad)).toBe(text);
  });

  it('say all in a few characters', () => {
    const rows = [
      sidecar(),
      sidecar({ version: '0.2.0', state: 'rejected' }),
      sidecar({ version: '', state: 'none' }),
    ];
    expect(
      columns({
        sidecars: rows,
        wanted: 3,
        inSync: 2,
        nearestExpiryMs: nowMs + 23.9 * 3_600_000,
        figures: { requestsPerSecond: 1234, success: 0.9996, p99Ms: 1234, mtls: 0.7 },
        problems: 4,
      }),
    ).toEqual({
      synced: '2/3',
      mtls: '70',
      certificates: '23h',
      requestRate: '1200',
      success: '99.96',
      p99: '1.2s',
      versions: '0.1.0,0.2.0',
      rejecting: 1,
      skipped: 1,
      problems: 4,
    });
    expect(columns()).toMatchObject({ synced: '0/0', mtls: '-', certificates: '-', p99: '-' });
  });

  it.each([
    [-1, 'ended'],
    [59 * 60_000, '59m'],
    [119.9 * 60_000, '119m'],
    [71.9 * 3_600_000, '71h'],
    [80 * 3_600_000, '3d'],
  ])('write %d ms until the end as %s', (ms, text) => {
    expect(columns({ nearestExpiryMs: nowMs + ms }).certificates).toBe(text);
  });
});

describe('Healthy', () => {
  it('is who has nothing against it; pods without a sidecar do not count', () => {
    const rows = [sidecar(), sidecar({ state: 'none' }), sidecar({ state: 'draining' })];
    expect(healthyVerdict(rows, nowMs)).toEqual({
      type: 'Healthy',
      status: 'True',
      reason: 'AllWell',
      message: '1 sidecar is well.',
    });
  });

  it.each([
    ['rejected', 'Rejected', 'Sidecars, refused what they were sent: shop/b.'],
    ['disconnected', 'Disconnected', 'Sidecars, without the operator: shop/b.'],
    ['starting', 'NotReady', 'Sidecars, not ready: shop/b.'],
    ['syncing', 'OutOfSync', 'Sidecars, something is on its way to them: shop/b.'],
  ] as const)('is not while one is %s', (state, reason, message) => {
    const found = healthyVerdict([sidecar(), sidecar({ pod: 'b', state })], nowMs);
    expect(found).toMatchObject({ status: 'False', reason, message });
  });

  it('is not where a certificate is about to end, which is worst', () => {
    const ending = sidecar({ certificateEndMs: nowMs + 60_000, state: 'disconnected' });
    const found = healthyVerdict([ending], nowMs);
    expect(found).toMatchObject({ status: 'False', reason: 'CertificatesEnding' });
    const many = Array.from({ length: 12 }, (_, i) => sidecar({ pod: `p${i}`, state: 'rejected' }));
    expect(healthyVerdict(many, nowMs).message).toContain('shop/p9 and 2 more');
  });
});
