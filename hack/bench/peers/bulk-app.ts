// A program of its own: the app of the bulk loads, on bare sockets, so that it costs less than a proxy.
//   bulk-app.ts http PORT   GET /bytes/N answers N bytes, any other GET 1 KB; POST counts and answers the number
//   bulk-app.ts tcp PORT    a first byte `d` is answered with bytes until the peer has enough, `u` takes
//                           what its 8 digits say in MiB and answers `k`, `p` is answered with `p`
import { createServer, type Socket } from 'node:net';

const [kind, port] = process.argv.slice(2);
const chunk = Buffer.alloc(256 * 1024, 'tsmesh benchmark ');
const small = Buffer.alloc(1024, 'abcdefghijklmnop');
const headEnd = '\r\n\r\n';

/** Writes so many bytes, no faster than they are taken. */
function pour(socket: Socket, bytes: number): void {
  let left = bytes;
  const go = (): void => {
    while (left > 0 && !socket.destroyed) {
      const size = Math.min(left, chunk.length);
      left -= size;
      if (!socket.write(size === chunk.length ? chunk : chunk.subarray(0, size))) return;
    }
    socket.off('drain', go);
  };
  socket.on('drain', go);
  go();
}

function http(socket: Socket): void {
  let head = '';
  let body = 0;
  let expected = 0;
  const answer = (content: Buffer): void => {
    socket.cork();
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${content.length}${headEnd}`);
    socket.write(content);
    socket.uncork();
  };
  const onHead = (text: string): void => {
    const [line = ''] = text.split('\r\n', 1);
    const bytes = /^GET \/bytes\/(\d+) /.exec(line)?.[1];
    if (line.startsWith('POST')) {
      expected = Number(/\r\ncontent-length: *(\d+)/i.exec(text)?.[1] ?? 0);
    } else if (bytes === undefined) answer(small);
    else {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes}${headEnd}`);
      pour(socket, Number(bytes));
    }
  };
  socket.on('data', (data: Buffer) => {
    if (expected > 0) body += data.length;
    else {
      head += data.toString('latin1');
      const end = head.indexOf(headEnd);
      if (end < 0) return;
      onHead(head.slice(0, end));
      body = head.length - end - headEnd.length;
      head = '';
    }
    if (expected === 0 || body < expected) return;
    answer(Buffer.from(String(body)));
    expected = body = 0;
  });
}

function tcp(socket: Socket): void {
  let left = -1;
  socket.on('data', (data: Buffer) => {
    let size = data.length;
    if (left < 0) {
      const command = data.toString('latin1', 0, 9);
      if (command.startsWith('p')) {
        socket.write('p');
        return;
      }
      const bytes = Number(command.slice(1)) * 2 ** 20;
      if (command.startsWith('d')) {
        pour(socket, bytes);
        return;
      }
      left = bytes;
      size -= 9;
    }
    left -= size;
    if (left === 0) socket.write('k');
  });
}

const server = createServer({ noDelay: true }, (socket) => {
  // A peer that goes in the middle of its GiB is part of the measurements.
  socket.on('error', () => undefined);
  if (kind === 'http') http(socket);
  else tcp(socket);
});
server.listen(Number(port), '127.0.0.1');
