import { describe, expect, it } from '@jest/globals';
import { readFields } from './request-fields.ts';

describe('reading the fields of a request', () => {
  it.each([
    ['application/grpc', true],
    ['application/grpc+proto', true],
    ['application/grpc;charset=x', true],
    ['application/grpc-web', false],
    ['application/json', false],
  ])('%s is gRPC: %s', (value, grpc) => {
    expect(readFields(['content-type', value], false).grpc).toBe(grpc);
  });

  it('finds the request id and what the caller says of its app', () => {
    const said = ['tsmesh-app-protocol', 'http2', 'tsmesh-target-form', 'absolute'];
    const fields = ['x-request-id', '7', ...said];
    expect(readFields(fields, true)).toEqual({
      grpc: false,
      requestId: '7',
      tellsHttp2: true,
      tellsAbsoluteForm: true,
    });
    expect(fields).toEqual(['x-request-id', '7']);
  });

  it('takes out what only the mesh may say, and nothing else', () => {
    const fields = [
      'te',
      'trailers',
      'tsmesh-client-identity',
      'x',
      'x-forwarded-client-cert',
      'y',
    ];
    const outbound = [...fields];
    readFields(outbound, false);
    expect(outbound).toEqual(['te', 'trailers', 'x-forwarded-client-cert', 'y']);
    readFields(fields, true);
    expect(fields).toEqual(['te', 'trailers']);
  });

  it.each([
    'tsmesh_client_identity',
    'tsmesh-client_identity',
    'tsmesh.client.identity',
    'x_forwarded_client_cert',
    'x-forwarded-client_cert',
  ])('takes out %s, which apps behind CGI take for what the mesh says', (name) => {
    const fields = ['x-forwarded-client', 'a', name, 'forged', 'tsmeshed', 'b', 'tsmesh', 'c'];
    readFields(fields, true);
    expect(fields).toEqual(['x-forwarded-client', 'a', 'tsmeshed', 'b', 'tsmesh', 'c']);
  });
});
