// What is said of the access log of one sidecar. Types only.

export type AccessLogFormat = 'json' | 'text';

export interface AccessLogSettings {
  mode: 'off' | 'errors' | 'all';
  format: AccessLogFormat;
  /** Percent of what did not fail; failures are always written. */
  sampling: number;
  /** What said so, for people: `annotation tsmesh.dev/access-log of namespace shop`. */
  decidedBy: string;
}
