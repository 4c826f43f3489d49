// One call of each protocol, with everything that came back.
import { request as httpRequest } from 'node:http';
import { connect as http2Connect, type ClientHttp2Session } from 'node:http2';
import { connect as tcpConnect, type Socket } from 'node:net';
import { decodeMessage, echoService, encodeMessage, FrameReader } from './grpc-frames.ts';

export interface HttpCall {
  url: string;
  method: string;
  header: string[];
  body: string;
  timeoutMs: number;
}

export interface HttpAnswer {
  status: number;
  headers: Record<string, unknown>;
  body: string;
  ms: number;
  error?: string;
}

/** Never rejects: a failure is an answer with status 0 and `error`. */
export function httpCall(call: HttpCall): Promise<HttpAnswer> {
  const started = performance.now();
  const elapsed = (): number => performance.now() - started;
  return new Promise((resolve) => {
    const fail = (error: Error): void =>
      resolve({ status: 0, headers: {}, body: '', ms: elapsed(), error: String(error) });
    const headers: Record<string, string> = {};
    for (const line of call.header) {
      const colon = line.indexOf(':');
      headers[line.slice(0, colon)] = line.slice(colon + 1).trim();
    }
    if (call.body !== '') headers['content-length'] = String(Buffer.byteLength(call.body));
    const { method, timeoutMs: timeout } = call;
    const request = httpRequest(call.url, { method, headers, timeout }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => (body += text));
      response.on('error', fail);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body,
          ms: elapsed(),
        }),
      );
    });
    request.on('timeout', () => request.destroy(new Error(`no answer within ${timeout} ms`)));
    request.on('error', fail);
    request.end(call.body === '' ? undefined : call.body);
  });
}

export interface GrpcAnswer {
  status: number;
  grpcStatus: string;
  grpcMessage: string;
  messages: string[];
  error?: string;
}

export interface GrpcCall {
  method: string;
  text: string;
  timeoutMs: number;
}

/** On a connection of its own. */
export function grpcCall(target: string, call: GrpcCall): Promise<GrpcAnswer> {
  const channel = grpcChannel(target);
  return channel.call(call).finally(() => channel.close());
}

export interface GrpcChannel {
  call(call: GrpcCall): Promise<GrpcAnswer>;
  close(): void;
}

/** Calls on one connection, which is made anew only when it is closed or its peer said that it goes. */
export function grpcChannel(target: string): GrpcChannel {
  let session: ClientHttp2Session | null = null;
  let broken: Error | undefined;
  const current = (): ClientHttp2Session => {
    if (session !== null && !session.closed && !session.destroyed) return session;
    const made = http2Connect(`http://${target}`);
    broken = undefined;
    made.on('error', (error) => (broken = error));
    made.on('goaway', () => {
      if (session === made) session = null;
      made.close();
    });
    session = made;
    return made;
  };
  return {
    call: (call) => grpcCallOn(current(), call, () => broken),
    close: () => session?.destroy(),
  };
}

function grpcCallOn(
  session: ClientHttp2Session,
  call: GrpcCall,
  broken: () => Error | undefined,
): Promise<GrpcAnswer> {
  return new Promise((resolve) => {
    const answer: GrpcAnswer = { status: 0, grpcStatus: '', grpcMessage: '', messages: [] };
    const finish = (error?: Error): void => {
      clearTimeout(timer);
      stream.destroy();
      resolve(error === undefined ? answer : { ...answer, error: String(error) });
    };
    const timer = setTimeout(() => finish(new Error('no answer in time')), call.timeoutMs);
    const stream = session.request({
      ':method': 'POST',
      ':path': `${echoService}/${call.method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const take = (headers: Record<string, unknown>): void => {
      const { 'grpc-status': status, 'grpc-message': message } = headers;
      if (typeof status === 'string' || typeof status === 'number') answer.grpcStatus = `${status}`;
      if (typeof message === 'string') answer.grpcMessage = decodeURIComponent(message);
    };
    stream.on('response', (headers) => {
      answer.status = Number(headers[':status']);
      take(headers);
    });
    stream.on('trailers', take);
    const reader = new FrameReader();
    stream.on('data', (bytes: Buffer) => {
      for (const message of reader.push(bytes)) answer.messages.push(decodeMessage(message));
    });
    stream.on('error', finish);
    stream.on('close', () => finish(answer.grpcStatus === '' ? broken() : undefined));
    stream.end(encodeMessage(call.text));
  });
}

export interface TcpAnswer {
  received: string;
  error?: string;
}

/** `host:port`, an IPv6 address in brackets. */
export function connectTo(target: string): Socket {
  const { hostname, port } = new URL(`tcp://${target}`);
  return tcpConnect(Number(port), hostname.replace(/^\[|\]$/g, ''));
}

/** Waits for a first line; with `send`, says it and waits for one more line; then closes. */
export function tcpCall(target: string, send: string, timeoutMs: number): Promise<TcpAnswer> {
  const socket = connectTo(target);
  const greets = !send.startsWith('!');
  const line = greets ? send : send.slice(1);
  return new Promise((resolve) => {
    let received = '';
    let sent = false;
    const finish = (error?: string): void => {
      socket.destroy();
      resolve(error === undefined ? { received } : { received, error });
    };
    const say = (): void => {
      sent = true;
      socket.write(`${line}\r\n`);
    };
    socket.setTimeout(timeoutMs, () => finish('no answer in time'));
    socket.on('connect', () => !greets && say());
    socket.on('data', (bytes) => {
      received += bytes.toString();
      const lines = received.split('\r\n').length - 1;
      if (line === '') return lines >= 1 && finish();
      if (!sent) return lines >= 1 && say();
      if (lines >= (greets ? 2 : 1)) finish();
    });
    socket.on('error', (error) => finish(String(error)));
    socket.on('close', () => finish(received === '' ? 'closed without a byte' : undefined));
  });
}

/** Asks every 5 ms until it is ended, and prints each change of the status with its Unix time. */
export async function watch(url: string, print: (value: object) => void): Promise<void> {
  let status = -1;
  for (;;) {
    const answer = await httpCall({ url, method: 'GET', header: [], body: '', timeoutMs: 5000 });
    if (answer.status !== status) print({ status: answer.status, atMs: Date.now() });
    status = answer.status;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
