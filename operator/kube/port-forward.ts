// A byte stream to a port of a pod, through the API server (`pods/portforward`, WebSocket), with a person's rights.

import { Duplex, PassThrough, Writable } from 'node:stream';
import { PortForward, type KubeConfig } from '@kubernetes/client-node';

export interface PodPort {
  namespace: string;
  pod: string;
  port: number;
}

/** What client-node gives back: a WebSocket. */
export interface Channel {
  close(): void;
  on(event: 'close', listener: () => void): unknown;
}

/** Rejects in words; what goes wrong in the pod (nobody listens) ends the stream with an error. */
export async function forwardToPod(config: KubeConfig, to: PodPort): Promise<Duplex> {
  const toPod = new PassThrough();
  const stream = new Duplex({
    // What comes is short, and pushed as it comes.
    read: () => undefined,
    write: (chunk, encoding, done) => void toPod.write(chunk, encoding, done),
    final: (done) => void toPod.end(done),
  });
  const fromPod = taker((bytes) => stream.push(bytes));
  const errors = taker((text) => {
    if (text.length > 0) stream.destroy(new Error(text.toString().trim()));
  });
  let channel: Channel;
  try {
    const forward = new PortForward(config);
    const opened = await forward.portForward(
      to.namespace,
      to.pod,
      [to.port],
      fromPod,
      errors,
      toPod,
    );
    channel = opened as unknown as Channel;
  } catch (error) {
    throw new Error(causeOf(error), { cause: error });
  }
  channel.on('close', () => void stream.push(null));
  stream.once('close', () => channel.close());
  return stream;
}

function taker(take: (bytes: Buffer) => void): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      take(chunk);
      done();
    },
  });
}

/** A WebSocket's error event hides the answer of the server in its message. */
export function causeOf(error: unknown): string {
  const { message } = error as { message?: unknown };
  return typeof message === 'string' && message !== '' ? message : 'the API server gave no reason';
}
