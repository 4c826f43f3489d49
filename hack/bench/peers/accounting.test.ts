import { createServer, connect } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { connectionsIn, connectionsOf, cpuSeconds } from './accounting.ts';

const text = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2EE1 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 101 1 0
   1: 0100007F:2EE1 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 102 1 0
   2: 0100007F:9C40 0100007F:2EE1 01 00000000:00000000 00:00000000 00000000     0        0 103 1 0
   3: 0100007F:9C41 0100007F:2EE1 06 00000000:00000000 03:00000f00 00000000     0        0 0 3 0
   4: 0100007F:9C42 0100007F:2EE2 01 00000000:00000000 00:00000000 00000000     0        0 104 1 0
`;

describe('the connections of a port', () => {
  it('are those to it and from it, with their state', () => {
    expect(connectionsIn(text, 12_001)).toEqual([
      { state: '0A', inode: '101' },
      { state: '01', inode: '102' },
      { state: '01', inode: '103' },
      { state: '06', inode: '0' },
    ]);
  });

  it('of a running process are counted without those of others', async () => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    expect(connectionsOf(process.pid, port)).toBe(0);
    const accepted = once(server, 'connection');
    const client = connect(port, '127.0.0.1');
    await once(client, 'connect');
    await accepted;
    // Both ends are held by this process.
    expect(connectionsOf(process.pid, port)).toBe(2);
    expect(connectionsOf(1, port)).toBe(0);
    client.destroy();
    server.close();
  });
});

describe('CPU time', () => {
  it('grows with work, in steps finer than a tick', () => {
    const before = cpuSeconds(process.pid);
    const until = performance.now() + 30;
    while (performance.now() < until);
    expect(cpuSeconds(process.pid)).toBeGreaterThan(before);
  });
});
