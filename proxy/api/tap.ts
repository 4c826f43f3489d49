// What a sidecar says on `GET /tap`, a line of JSON each. Types only: what the command line reads.

/** One request or connection that came to its end: the entry of the access log, of which these are read. */
export interface TapLine {
  /** ISO 8601. */
  time: string;
  direction: 'inbound' | 'outbound';
  destination: string;
  endpoint: string;
  route: string;
  /** Empty: no HTTP. */
  method: string;
  authority: string;
  path: string;
  status: number;
  /** Negative: not gRPC. */
  grpcStatus: number;
  peer: string;
  peerAddress: string;
  mtls: boolean;
  durationMs: number;
  attempts: number;
  sentBytes: number;
  receivedBytes: number;
  flag: string;
  detail: string;
}

/** What stands between the lines of requests, each second and at the end. */
export interface TapNote {
  tap: {
    /** Requests that passed the filter and are not shown, since the note before. */
    leftOut: number;
    ended?: 'time' | 'lines';
  };
}
