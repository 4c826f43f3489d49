// One connection or stream that is held open for long, with a message each second that must come back: what breaks
// it, and when, is all it tells.
import { connect as http2Connect } from 'node:http2';
import { connectTo } from './client.ts';
import { decodeMessage, echoService, encodeMessage, FrameReader } from './grpc-frames.ts';

export interface HoldResult {
  sent: number;
  answered: number;
  /** The longest that an answer took. */
  slowestMs: number;
  heldSeconds: number;
  /** Of the stream; empty for TCP. */
  grpcStatus: string;
  error?: string;
}

const everyMs = 1000;

/** Counts what went out and what came back, in order, and says when the time is over. */
class Ledger {
  readonly result: HoldResult = {
    sent: 0,
    answered: 0,
    slowestMs: 0,
    heldSeconds: 0,
    grpcStatus: '',
  };
  private readonly started = performance.now();
  private sentAt = 0;
  private timer: NodeJS.Timeout | null = null;

  start(seconds: number, say: (text: string) => void, end: () => void): void {
    this.timer = setInterval(() => {
      if (performance.now() - this.started >= seconds * 1000) {
        this.stop();
        end();
        return;
      }
      this.sentAt = performance.now();
      say(`message ${this.result.sent++}`);
    }, everyMs);
  }

  answer(text: string): void {
    const expected = `message ${this.result.answered}`;
    if (!text.endsWith(expected)) this.result.error ??= `${text} instead of ${expected}`;
    this.result.answered += 1;
    this.result.slowestMs = Math.max(this.result.slowestMs, performance.now() - this.sentAt);
  }

  fail(error: unknown): void {
    this.result.error ??= String(error);
  }

  stop(): HoldResult {
    if (this.timer !== null) clearInterval(this.timer);
    this.result.heldSeconds = (performance.now() - this.started) / 1000;
    return this.result;
  }
}

/** Ends in order after so many seconds; never rejects. */
export function holdTcp(target: string, seconds: number): Promise<HoldResult> {
  const socket = connectTo(target);
  const ledger = new Ledger();
  let rest = '';
  socket.on('data', (bytes) => {
    const lines = (rest + bytes.toString()).split('\r\n');
    rest = lines.pop() ?? '';
    for (const line of lines) ledger.answer(line);
  });
  ledger.start(
    seconds,
    (text) => void socket.write(`${text}\r\n`),
    () => socket.end(),
  );
  return new Promise((resolve) => {
    socket.on('error', (error) => ledger.fail(error));
    socket.on('close', () => resolve(ledger.stop()));
  });
}

/** One bidirectional stream on one connection; ends in order after so many seconds; never rejects. */
export function holdGrpc(target: string, seconds: number): Promise<HoldResult> {
  const session = http2Connect(`http://${target}`);
  const ledger = new Ledger();
  const stream = session.request({
    ':method': 'POST',
    ':path': `${echoService}/Echo`,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const reader = new FrameReader();
  stream.on('data', (bytes: Buffer) => {
    for (const message of reader.push(bytes)) {
      ledger.answer((JSON.parse(decodeMessage(message)) as { text: string }).text);
    }
  });
  stream.on('trailers', (headers) => (ledger.result.grpcStatus = String(headers['grpc-status'])));
  ledger.start(
    seconds,
    (text) => void stream.write(encodeMessage(text)),
    () => stream.end(),
  );
  return new Promise((resolve) => {
    session.on('error', (error) => ledger.fail(error));
    stream.on('error', (error) => ledger.fail(error));
    stream.on('close', () => {
      session.destroy();
      resolve(ledger.stop());
    });
  });
}
