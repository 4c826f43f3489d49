// Suites of which `npm test` runs a fixed sample, and `npm run test:full` the whole. The test command
// prints this list; the tests read their size from it.

export const samples = {
  changesPerKind: { what: 'changes of each kind of policy under callers', sample: 6, whole: 40 },
  certManagerSteps: { what: 'steps with cert-manager as the CA', sample: 0, whole: 3 },
  certificateRenewals: { what: 'certificate renewals under load', sample: 3, whole: 10 },
  connectCases: { what: 'cases of connectconformance', sample: 3069, whole: 71_550 },
  differentialRequests: { what: 'odd requests of the differential test', sample: 118, whole: 353 },
  h2PeerFloods: { what: 'floods of HTTP/2 by peers of the mesh', sample: 2, whole: 9 },
  heldStreamMinutes: {
    what: 'minutes that a TCP connection and a gRPC stream live across renewals',
    sample: 2,
    whole: 60,
  },
  keepAliveRounds: {
    what: 'rounds of 20 requests at the end of an app’s idle time',
    sample: 4,
    whole: 40,
  },
  largeBodyMebibytes: {
    what: 'MiB in each large body of the HTTP semantics',
    sample: 64,
    whole: 1024,
  },
  peerAuthenticationRows: {
    what: 'rows of the table of mTLS modes on the cluster',
    sample: 4,
    whole: 66,
  },
  endings: {
    what: 'ways in which an app ends (at once, after a pause, never) under rollouts',
    sample: 1,
    whole: 3,
  },
  rollouts: { what: 'rolling restarts of Deployments under load', sample: 1, whole: 10 },
  scaledPods: {
    what: 'pods that a Deployment is scaled to and back under load',
    sample: 4,
    whole: 10,
  },
} as const;

/** `TSMESH_FULL` is set by npm run test:full. */
export function isWhole(): boolean {
  return process.env['TSMESH_FULL'] !== undefined;
}

/** How many of a suite this run does. */
export function sizeOf(name: keyof typeof samples): number {
  const { sample, whole } = samples[name];
  return isWhole() ? whole : sample;
}
