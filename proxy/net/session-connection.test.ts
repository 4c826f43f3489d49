import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { createH1ServerSession } from '../codec/h1-server.ts';
import type { RequestHead, StreamListener } from '../codec/session.ts';
import { systemClock } from './clock.ts';
import { Flusher } from './flusher.ts';
import { SocketReader } from './socket-reader.ts';
import { SocketWriter } from './socket-writer.ts';
import { newHandshakes, type Io } from './link.ts';
import { SessionConnection } from './session-connection.ts';
import { TimerWheel } from './timer-wheel.ts';

type Step = 'write' | 'final' | 'read';

/** A socket whose nth call of the machine fails, or never returns. */
class FaultySocket extends Duplex {
  written: Buffer[] = [];
  calls = 0;
  wasReset = false;
  hangs = false;
  private readonly failAt: number;

  constructor(failAt: number) {
    super({ allowHalfOpen: true, writableHighWaterMark: 16 });
    this.failAt = failAt;
  }

  resetAndDestroy(): void {
    this.wasReset = true;
    this.destroy();
  }

  override _read(): void {
    this.step('read', () => undefined);
  }

  override _write(chunk: Buffer, _: string, done: (error?: Error) => void): void {
    this.step('write', (error) => {
      if (error === undefined) this.written.push(chunk);
      if (!this.hangs) done(error);
    });
  }

  override _final(done: (error?: Error) => void): void {
    this.step('final', done);
  }

  private step(_: Step, done: (error?: Error) => void): void {
    this.calls += 1;
    if (this.calls !== this.failAt) done();
    else if (_ === 'read') this.destroy(new Error('read failed'));
    else done(new Error('failed'));
  }
}

class Recorder implements StreamListener<RequestHead> {
  resets: string[] = [];
  onHead = () => undefined;
  onData = () => undefined;
  onTrailers = () => undefined;
  onDrained = () => undefined;
  onReset(reason: string): void {
    this.resets.push(reason);
  }
}

async function turn(): Promise<void> {
  for (let i = 0; i < 5; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

function setup(failAt: number, answers: boolean) {
  const io: Io = {
    clock: systemClock,
    wheel: new TimerWheel(systemClock),
    flusher: new Flusher(),
    reader: new SocketReader(),
    writer: new SocketWriter(),
    handshakes: newHandshakes(),
  };
  const socket = new FaultySocket(failAt);
  const session = createH1ServerSession();
  const recorder = new Recorder();
  session.onRequest = (stream) => {
    if (answers) {
      stream.sendHead({ status: 200, fields: [], contentLength: 6 }, false);
      stream.sendData(Buffer.from('answer'), true);
    }
    return recorder;
  };
  const seen = { closed: 0, served: 0 };
  const link = {
    socket: socket as unknown as Socket,
    raw: socket as unknown as Socket,
    peer: null,
  };
  const driver = new SessionConnection(link, session, io, {
    onServed: () => void (seen.served += 1),
    onClosed: () => void (seen.closed += 1),
  });
  return { socket, session, recorder, seen, driver };
}

const request = Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n');

describe('a session on a socket', () => {
  it('answers in one write per turn', async () => {
    const { socket, driver } = setup(0, true);
    driver.start(null);
    socket.push(request);
    await turn();
    expect(Buffer.concat(socket.written).toString()).toContain('answer');
    expect([socket.written.length, driver.writes]).toEqual([1, 1]);
  });

  it('takes the bytes that were read before it', async () => {
    const { socket, driver } = setup(0, true);
    driver.start(request);
    await turn();
    expect(socket.written).toHaveLength(1);
  });

  it.each([1, 2, 3, 4, 5, 6])('closes once and tells its streams when call %i fails', async (n) => {
    const { socket, driver, seen, recorder, session } = setup(n, n % 2 === 0);
    driver.start(null);
    socket.push(request);
    await turn();
    socket.push(request);
    await turn();
    socket.destroy();
    await turn();
    expect(seen.closed).toBe(1);
    expect(session.openStreams).toBe(0);
    if (n % 2 === 1) expect(recorder.resets).toEqual(['closed']);
  });

  it('writes nothing while the socket is full, and goes on when it drains', async () => {
    const { socket, driver } = setup(0, true);
    socket.hangs = true;
    driver.start(null);
    socket.push(request);
    await turn();
    socket.push(request);
    await turn();
    expect(driver.writes).toBe(1);
    socket.hangs = false;
    socket.emit('drain');
    await turn();
    expect(driver.writes).toBe(2);
  });

  it('closes in order after the FIN of the peer', async () => {
    const { socket, driver, seen } = setup(0, true);
    driver.start(null);
    socket.push(request);
    await turn();
    socket.push(null);
    await turn();
    expect([seen.closed, socket.wasReset, socket.writableFinished]).toEqual([1, false, true]);
  });

  it('resets a socket whose session is destroyed, once', async () => {
    const { socket, driver, seen } = setup(0, false);
    driver.start(request);
    driver.destroy();
    driver.destroy();
    await turn();
    expect([seen.closed, socket.wasReset]).toEqual([1, true]);
  });

  it('notices that its socket is gone already', () => {
    const { socket, driver, seen } = setup(0, false);
    socket.destroy();
    driver.start(null);
    expect(seen.closed).toBe(1);
  });
});
