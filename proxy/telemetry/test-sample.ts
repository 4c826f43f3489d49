// Test support: a request that came to its end, with nothing remarkable about it.

import { noGrpcStatus, type RequestSample } from './counters.ts';

export function requestSample(over: Partial<RequestSample> = {}): RequestSample {
  return {
    status: 200,
    grpcStatus: noGrpcStatus,
    latencyMs: 1,
    mtls: false,
    route: '',
    protocol: 'HTTP/1.1',
    peer: '',
    workload: '',
    flag: '',
    requestBytes: 0,
    responseBytes: 0,
    ...over,
  };
}
