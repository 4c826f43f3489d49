// From the options of `tsmesh tap` to the question that each sidecar is asked. Pure; throws a CliError of code Usage.

import { CliError } from '../errors.ts';

export interface TapOptions {
  method?: string;
  path?: string;
  status?: string;
  'min-duration'?: string;
  from?: string;
  to?: string;
  flag?: string;
  direction?: string;
  for?: string;
  rate?: string;
}

/** `namespace`: of Services that name none. */
export function tapQuery(options: TapOptions, namespace: string): string {
  const { method, path, status, from, to, flag, direction, rate } = options;
  const query = new URLSearchParams();
  const set = (name: string, value: string | undefined): void => {
    if (value !== undefined) query.set(name, value);
  };
  set('method', method);
  if (path !== undefined && !path.startsWith('/'))
    throw new CliError('Usage', `path: ${path} must begin with /`);
  set('path', path);
  if (status !== undefined && !/^([1-5]xx|\d{1,3}(-\d{1,3})?)$/.test(status))
    throw new CliError('Usage', `status: ${status} is not like 404, 5xx or 400-499`);
  set('status', status);
  set('min-duration', millisecondsIn('min-duration', options['min-duration']));
  set('from', from === undefined ? undefined : fromIn(from));
  set('to', to === undefined ? undefined : toIn(to, namespace));
  set('flag', flag === 'any' ? '*' : flag);
  if (direction !== undefined && direction !== 'inbound' && direction !== 'outbound')
    throw new CliError('Usage', `direction: ${direction} is neither inbound nor outbound`);
  set('direction', direction);
  const ms = millisecondsIn('for', options.for);
  if (ms !== undefined) set('seconds', secondsIn(Number(ms), options.for!));
  if (rate !== undefined && !(/^\d{1,3}$/.test(rate) && Number(rate) >= 1 && Number(rate) <= 500))
    throw new CliError('Usage', `rate: ${rate} is no number from 1 to 500`);
  set('rate', rate);
  return query.toString();
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

function millisecondsIn(option: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const [, count, unit] = /^(\d{1,7})(ms|s|m|h)$/.exec(text) ?? [];
  if (unit === undefined)
    throw new CliError('Usage', `${option}: ${text} is no time like 250ms, 2s or 5m`);
  return String(Number(count) * units[unit]!);
}

function secondsIn(ms: number, text: string): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds >= 1 && seconds <= 3600) return String(seconds);
  throw new CliError('Usage', `for: ${text} is not from 1s to 1h`);
}

function fromIn(text: string): string {
  if (/^[a-z0-9-]+(\/[a-z0-9.-]+)?$/.test(text)) return text;
  throw new CliError('Usage', `from: ${text} is no NAMESPACE or NAMESPACE/SERVICE-ACCOUNT`);
}

/** As sidecars name what they call: `cart.shop:80`, `*.shop`. */
function toIn(text: string, namespace: string): string {
  const [, whole] = /^(?:ns|namespace)\/([a-z0-9-]+)$/.exec(text) ?? [];
  if (whole !== undefined) return `*.${whole}`;
  const [, of, name, port = ''] = /^(?:([a-z0-9-]+)\/)?([a-z0-9-]+)(:\d{1,5})?$/.exec(text) ?? [];
  if (name !== undefined) return `${name}.${of ?? namespace}${port}`;
  throw new CliError('Usage', `to: ${text} is no Service of the form [NAMESPACE/]NAME[:PORT]`);
}
