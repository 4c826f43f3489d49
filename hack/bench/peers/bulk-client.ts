// A program of its own: one large transfer over bare sockets; prints {"bytes","seconds"} of it as JSON.
//   bulk-client.ts http-download|http-upload|tcp-download|tcp-upload PORT MIB
import { connect, type Socket } from 'node:net';

const [mode = '', port = '', mib = ''] = process.argv.slice(2);
const bytes = Number(mib) * 2 ** 20;
const chunk = Buffer.alloc(256 * 1024, 'tsmesh benchmark ');
const started = performance.now();
let received = 0;
let head = '';

const isUpload = mode.endsWith('upload');
const isHttp = mode.startsWith('http');

function finish(problem?: string): void {
  const seconds = (performance.now() - started) / 1000;
  if (problem === undefined) console.log(JSON.stringify({ bytes, seconds }));
  else console.error(`${mode}: ${problem}`);
  process.exitCode = problem === undefined ? 0 : 1;
  done = true;
  socket.destroy();
}
let done = false;

/** What is left of the data once the answer's head is over. */
function withoutHead(data: Buffer): number {
  if (head === 'over') return data.length;
  head += data.toString('latin1');
  const end = head.indexOf('\r\n\r\n');
  if (end < 0) return 0;
  if (!head.startsWith('HTTP/1.1 200')) finish(`answered ${head.slice(0, 60)}`);
  const rest = head.length - end - 4;
  if (isUpload) onUploaded(head.slice(end + 4));
  head = 'over';
  return rest;
}

function onUploaded(text: string): void {
  if (text === (isHttp ? String(bytes) : 'k')) finish();
  else finish(`the app counted ${text.slice(0, 60)} of ${bytes} bytes`);
}

function onData(data: Buffer): void {
  if (done) return;
  if (isUpload && !isHttp) {
    onUploaded(data.toString('latin1'));
    return;
  }
  received += isHttp ? withoutHead(data) : data.length;
  if (!isUpload && received >= bytes) finish(received > bytes ? `${received} bytes` : undefined);
}

function pour(target: Socket): void {
  let left = bytes;
  const go = (): void => {
    while (left > 0 && !target.destroyed) {
      const size = Math.min(left, chunk.length);
      left -= size;
      if (!target.write(size === chunk.length ? chunk : chunk.subarray(0, size))) return;
    }
    target.off('drain', go);
  };
  target.on('drain', go);
  go();
}

const buffer = Buffer.alloc(1024 * 1024);
const socket = connect({
  port: Number(port),
  host: '127.0.0.1',
  // One buffer for all reads: the client is not what is measured.
  onread: {
    buffer,
    callback: (size) => {
      onData(buffer.subarray(0, size));
      return true;
    },
  },
});
socket.on('error', (error) => finish(error.message));
socket.on('close', () => {
  if (!done) finish(`closed after ${received} bytes`);
});
const words = mib.padStart(8, '0');
if (isHttp && isUpload) {
  socket.write(`POST /upload HTTP/1.1\r\nhost: server.bench\r\ncontent-length: ${bytes}\r\n\r\n`);
} else if (isHttp) socket.write(`GET /bytes/${bytes} HTTP/1.1\r\nhost: server.bench\r\n\r\n`);
else socket.write(`${isUpload ? 'u' : 'd'}${words}`);
if (isUpload) pour(socket);
