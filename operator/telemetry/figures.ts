// Figures as the fields of a row have them: exact, in words that programs read as easily as people. Pure.

import type { TrafficFigures } from '../console/api.ts';
import type { MeshFigures } from '../resources/tsmesh.ts';

export function figuresText(figures: TrafficFigures): MeshFigures {
  const { requestsPerSecond, success, p50Ms, p99Ms, mtls } = figures;
  const { connectionsPerSecond, deniedPerSecond } = figures;
  return {
    requestRate: rateText(requestsPerSecond),
    successRate: success === null ? '-' : percentText(success),
    p50: msText(p50Ms),
    p99: msText(p99Ms),
    mtlsPercent: mtls === null ? '' : percentText(mtls),
    ...(connectionsPerSecond === 0 ? {} : { connectionRate: rateText(connectionsPerSecond) }),
    ...(deniedPerSecond === 0 ? {} : { deniedRate: rateText(deniedPerSecond) }),
  };
}

function rateText(perSecond: number): string {
  return String(Number(perSecond.toPrecision(4)));
}

/** Never rounded up to 100: `99.99` says that something failed. */
function percentText(share: number): string {
  // A share such as 0.999 is a little less than that in binary.
  const floored = Math.floor(share * 10_000 + 1e-6) / 100;
  return String(Math.max(0, floored));
}

function msText(ms: number | null): string {
  if (ms === null) return '-';
  if (ms >= 1000) return `${Number((ms / 1000).toPrecision(3))}s`;
  return `${Number(ms.toPrecision(3))}ms`;
}

/** Of `msText`. */
export function readMs(text: string): number {
  return Number.parseFloat(text) * (text.endsWith('ms') ? 1 : 1000);
}

/** Whole seconds, as Kubernetes writes times. */
export function rfc3339(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}
