// Suites of which `npm test` runs a fixed sample, and `npm run test:full` the whole. The test command
// prints this list; the tests read their size from it.

export const samples = {
  certificateRenewals: { what: 'certificate renewals under load', sample: 3, whole: 10 },
} as const;

/** How many of a suite this run does; `TSMESH_FULL` is set by npm run test:full. */
export function sizeOf(name: keyof typeof samples): number {
  const { sample, whole } = samples[name];
  return process.env['TSMESH_FULL'] === undefined ? sample : whole;
}
