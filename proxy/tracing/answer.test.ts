import { describe, expect, it } from '@jest/globals';
import { CollectorAnswer, rejectedSpans, retryAfterMs } from './answer.ts';

/** `partial_success { rejected_spans: 300, error_message: "no" }`. */
const partly = Buffer.from('0a0708ac0212026e6f', 'hex');

function answered(
  protocol: 'grpc' | 'http',
  { grpcStatus, body = Buffer.alloc(0), ...said }: Partial<CollectorAnswer> & { body?: Buffer },
) {
  const answer = new CollectorAnswer(protocol);
  Object.assign(answer, said, { grpcStatus });
  for (const byte of body) answer.add(Buffer.of(byte));
  return answer.result(0);
}

describe('the answer of a collector', () => {
  it.each([
    ['http', 200, undefined, 'sent'],
    ['http', 202, undefined, 'sent'],
    ['http', 400, undefined, 'never'],
    ['http', 404, undefined, 'never'],
    ['http', 429, undefined, 'later'],
    ['http', 500, undefined, 'never'],
    ['http', 503, undefined, 'later'],
    ['http', 0, undefined, 'later'],
    ['grpc', 200, 0, 'sent'],
    ['grpc', 200, 3, 'never'],
    ['grpc', 200, 8, 'later'],
    ['grpc', 200, 14, 'later'],
    ['grpc', 200, undefined, 'never'],
    ['grpc', 503, undefined, 'later'],
    ['grpc', 404, undefined, 'never'],
  ] as const)('over %s, status %j, gRPC %j: %s', (protocol, status, grpcStatus, outcome) => {
    expect(answered(protocol, { status, grpcStatus }).outcome).toBe(outcome);
  });

  it('tells how many spans of a batch were not taken', () => {
    const framed = Buffer.concat([Buffer.from([0, 0, 0, 0, partly.length]), partly]);
    expect(answered('http', { status: 200, body: partly }).refused).toBe(300);
    expect(answered('grpc', { status: 200, grpcStatus: 0, body: framed }).refused).toBe(300);
    expect(answered('http', { status: 503, body: partly }).refused).toBe(0);
  });

  it.each([
    '',
    '0a00',
    '0a02',
    '0a0308ac',
    '08',
    '1205',
    '0a',
    `0a0b08${'ff'.repeat(9)}01`,
    'ffff',
  ])('tells of none where it cannot be read: %s', (hex) => {
    expect(rejectedSpans(Buffer.from(hex, 'hex'))).toBe(0);
  });

  it('is read up to a bound', () => {
    const long = Buffer.concat([partly, Buffer.alloc(5000)]);
    expect(answered('http', { status: 200, body: long }).refused).toBe(0);
  });

  it.each([
    ['', 0],
    ['7', 7_000],
    [' 1 ', 1_000],
    ['86400', 60_000],
    ['-1', 0],
    ['soon', 0],
    ['Thu, 01 Jan 1970 00:00:05 GMT', 5_000],
    ['Wed, 31 Dec 1969 23:59:59 GMT', 0],
  ])('asks with Retry-After %j for %i ms', (value, ms) => {
    expect(retryAfterMs(value, 0)).toBe(ms);
    expect(answered('http', { status: 503, retryAfter: value }).afterMs).toBe(ms);
  });
});
