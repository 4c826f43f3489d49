// Fuzz targets for two machines against each other in memory: random messages, sent, read, delayed, given up and drained
// in random order. Nothing may be lost, doubled or mixed up, whatever the order.
import { createH1ClientSession } from '../../proxy/codec/h1-client.ts';
import { createH1ServerSession } from '../../proxy/codec/h1-server.ts';
import { createH2ClientSession } from '../../proxy/codec/h2-client.ts';
import { createH2ServerSession } from '../../proxy/codec/h2-server.ts';
import type { H2Options } from '../../proxy/codec/h2-options.ts';
import type { ClientSession, ServerSession } from '../../proxy/codec/session.ts';
import { Conversation } from './pair.ts';
import type { Random } from './random.ts';
import type { Target } from './target.ts';

function pairTarget(
  name: string,
  tunnels: 'last' | 'any',
  make: (random: Random) => [ClientSession, ServerSession],
): Target {
  return {
    name,
    run(random) {
      const [client, server] = make(random);
      new Conversation(random, client, server, tunnels).run();
    },
  };
}

function h2Options(random: Random): Partial<H2Options> {
  return {
    streamWindowBytes: random.pick([100, 5000, 65535, 1048576]),
    connectionWindowBytes: random.pick([65535, 70000, 8388608]),
    maxConcurrentStreams: random.pick([1, 2, 100]),
    headerTableBytes: random.pick([0, 100, 4096]),
    maxFrameBytes: random.pick([16384, 65536]),
    huffman: random.pick(['smaller', 'never']),
    highWaterBytes: random.pick([10, 5000, 262144]),
    batchBytes: random.pick([1, 1000, 262144]),
    // Small windows make many frames, which is not a flood here.
    floodFactor: 1e6,
  };
}

export const pairTargets: readonly Target[] = [
  pairTarget('h1-pair', 'last', (random) => {
    const options = {
      highWaterBytes: random.pick([10, 5000]),
      receiveWindowBytes: random.pick([10, 9000]),
    };
    return [createH1ClientSession(options), createH1ServerSession(options)];
  }),
  pairTarget('h2-pair', 'any', (random) => [
    createH2ClientSession(h2Options(random)),
    createH2ServerSession(h2Options(random)),
  ]),
];
