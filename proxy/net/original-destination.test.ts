import { describe, expect, it } from '@jest/globals';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { endianness } from 'node:os';
import { createOriginalDestinationReader, parseSockaddr } from './original-destination.ts';

/** `struct sockaddr_in6` as the kernel of this machine writes it. */
function sockaddrIn6(address: string, port: number): Buffer {
  const bytes = Buffer.alloc(28);
  if (endianness() === 'LE') bytes.writeUInt16LE(10, 0);
  else bytes.writeUInt16BE(10, 0);
  bytes.writeUInt16BE(port, 2);
  Buffer.from(address, 'hex').copy(bytes, 8);
  return bytes;
}

describe('the original destination', () => {
  it.each([
    ['fd000000000000000000000000000007', 'fd00::7'],
    ['20010db8000000010000000000000001', '2001:db8:0:1::1'],
    ['20010db8000100000000000100000001', '2001:db8:1::1:0:1'],
    ['00000000000000000000000000000001', '::1'],
    ['fe800000000000000000000000000000', 'fe80::'],
    ['20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
    ['00000000000000000000ffff0a000007', '10.0.0.7'],
  ])('writes %s as %s, the one way RFC 5952 allows', (hex, text) => {
    expect(parseSockaddr(sockaddrIn6(hex, 8080))).toEqual({ address: text, port: 8080 });
  });

  it('is none for another address family', () => {
    expect(parseSockaddr(Buffer.alloc(28))).toBeNull();
  });

  it('is none for a connection that was closed meanwhile', async () => {
    const read = createOriginalDestinationReader();
    const server = createServer();
    const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    client.on('error', () => {});
    const socket = await accepted;
    socket.on('error', () => {});
    socket.destroy();
    expect(read(socket)).toBeNull();
    client.destroy();
    server.close();
  });
});
