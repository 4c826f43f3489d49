// The annotations by which a namespace or a pod says how its sidecars log requests: their names, what is valid, and how they are
// read. Pure. What the Mesh says, and who wins, is translate/workload.ts.

import type { AccessLogFormat } from '../../proxy/api/access-log.ts';

export const accessLogAnnotation = 'tsmesh.dev/access-log';
export const accessLogFormatAnnotation = 'tsmesh.dev/access-log-format';
export const accessLogSamplingAnnotation = 'tsmesh.dev/access-log-sampling';

/** Not `off`, which YAML 1.1 reads as `false`. */
export const accessLogModes = ['none', 'errors', 'all'] as const;
export const accessLogFormats = ['json', 'text'] as const satisfies readonly AccessLogFormat[];
export const validSampling = 'a percentage from 0 to 100, such as 10 or 0.5';

/** What annotations say; absent: nothing, or nothing valid. */
export interface AccessLogWish {
  mode?: (typeof accessLogModes)[number];
  format?: AccessLogFormat;
  /** Percent. */
  sampling?: number;
  /** Of values that are not valid, in words. */
  faults: string[];
}

/** Null: none of the annotations is there. */
export function accessLogWish(
  annotations: Readonly<Record<string, string>> | undefined,
): AccessLogWish | null {
  const wish: AccessLogWish = { faults: [] };
  const read = <T>(name: string, valid: string, parse: (text: string) => T | undefined) => {
    const text = annotations?.[name];
    if (text === undefined) return undefined;
    const value = parse(text);
    if (value === undefined) {
      const shown = JSON.stringify(text.slice(0, 64));
      wish.faults.push(`annotation ${name}: ${shown} is not valid; valid: ${valid}`);
    }
    return value;
  };
  const mode = read(accessLogAnnotation, 'none, errors or all', (text) =>
    accessLogModes.find((one) => one === text),
  );
  const format = read(accessLogFormatAnnotation, 'json or text', (text) =>
    accessLogFormats.find((one) => one === text),
  );
  const sampling = read(accessLogSamplingAnnotation, validSampling, percentOf);
  if (mode !== undefined) wish.mode = mode;
  if (format !== undefined) wish.format = format;
  if (sampling !== undefined) wish.sampling = sampling;
  return Object.keys(wish).length > 1 || wish.faults.length > 0 ? wish : null;
}

function percentOf(text: string): number | undefined {
  if (!/^\d{1,3}(?:\.\d{1,4})?$/.test(text)) return undefined;
  const value = Number(text);
  return value <= 100 ? value : undefined;
}
