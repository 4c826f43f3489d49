// One call of grpc.health.v1.Health/Check in plaintext, as the kubelet's gRPC probe does it. Only the two
// fields that the check needs are encoded and decoded.

import type { ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';

export interface GrpcHealthTarget {
  host: string;
  port: number;
  service: string;
  signal: AbortSignal;
}

/** HealthCheckResponse.ServingStatus. */
const servingStatus = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'] as const;
const maxAnswerBytes = 4096;
const framePrefixBytes = 5;

/** 200 where the service is SERVING, else 503 with the reason. Rejects where it cannot be reached. */
export async function checkGrpcHealth(
  target: GrpcHealthTarget,
): Promise<{ status: number; body: string }> {
  const { connect } = await import('node:http2');
  const host = target.host.includes(':') ? `[${target.host}]` : target.host;
  const session = connect(`http://${host}:${target.port}`);
  const abort = (): void => session.destroy(new Error('timed out'));
  target.signal.addEventListener('abort', abort, { once: true });
  try {
    return await new Promise((resolve, reject) => {
      session.on('error', reject);
      const stream = session.request({
        ':method': 'POST',
        ':path': '/grpc.health.v1.Health/Check',
        'content-type': 'application/grpc',
        'user-agent': 'kube-probe/tsmesh',
        te: 'trailers',
      });
      collect(stream, resolve, reject);
      stream.end(encodeRequest(target.service));
    });
  } finally {
    target.signal.removeEventListener('abort', abort);
    session.on('error', () => {});
    session.destroy();
  }
}

function collect(
  stream: ClientHttp2Stream,
  resolve: (result: { status: number; body: string }) => void,
  reject: (error: Error) => void,
): void {
  const chunks: Buffer[] = [];
  let length = 0;
  let end: IncomingHttpHeaders = {};
  stream.on('error', reject);
  stream.on('response', (headers) => (end = { ...end, ...headers }));
  stream.on('trailers', (headers) => (end = { ...end, ...headers }));
  stream.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > maxAnswerBytes) reject(new Error('the health answer is too large'));
    else chunks.push(chunk);
  });
  stream.once('close', () => resolve(verdict(end, Buffer.concat(chunks))));
}

function verdict(headers: IncomingHttpHeaders, answer: Buffer): { status: number; body: string } {
  const grpcStatus = headers['grpc-status'];
  if (grpcStatus !== '0') {
    const words = String(headers['grpc-message'] ?? 'no gRPC answer');
    return { status: 503, body: `gRPC status ${String(grpcStatus ?? '?')}: ${words}` };
  }
  const status = servingStatus[decodeStatus(answer.subarray(framePrefixBytes))] ?? 'UNKNOWN';
  return { status: status === 'SERVING' ? 200 : 503, body: status };
}

/** HealthCheckRequest { string service = 1 } in a gRPC frame. */
export function encodeRequest(service: string): Buffer {
  const name = Buffer.from(service);
  const field = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([tag(name.length), name]);
  const prefix = Buffer.alloc(framePrefixBytes);
  prefix.writeUInt32BE(field.length, 1);
  return Buffer.concat([prefix, field]);
}

/** Field 1, length-delimited, then the length as a varint. */
function tag(length: number): Buffer {
  const bytes = [0x0a];
  let rest = length;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** HealthCheckResponse { ServingStatus status = 1 }: a small varint; absent means UNKNOWN. */
function decodeStatus(message: Buffer): number {
  return message[0] === 0x08 ? (message[1] ?? 0) : 0;
}
