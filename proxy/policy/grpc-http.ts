// What HTTP statuses and gRPC codes stand for each other where a policy names only one of them. Pure.

/** As clients of gRPC read HTTP answers (grpc, "HTTP to gRPC Status Code Mapping"); a good one is no error. */
const ofHttp: ReadonlyMap<number, number> = new Map([
  [400, 13],
  [401, 16],
  [403, 7],
  [404, 12],
  [429, 14],
  [502, 14],
  [503, 14],
  [504, 14],
]);

/** As google.rpc.Code says them for HTTP, by code from 0 on. */
const ofGrpc = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
] as const;

const ok = 0;
const unknown = 2;

export function grpcOfHttp(status: number): number {
  if (status >= 200 && status < 300) return ok;
  return ofHttp.get(status) ?? unknown;
}

export function httpOfGrpc(code: number): number {
  return ofGrpc[code] ?? 500;
}
