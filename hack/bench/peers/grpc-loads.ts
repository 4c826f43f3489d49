// gRPC unary calls over one h2c connection with 100 streams, from h2load to fortio's gRPC server.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { h2load } from './clients.ts';
import type { H2loadSeen } from './generators.ts';
import type { Sample, Target } from './harness.ts';
import { goal, warmSeconds, type Load, type Round } from './load.ts';
import { requestColumns, requests } from './request-loads.ts';

const streams = 100;

/**
 * fortio's PingMessage: seq = 1, ts, a payload of 100 bytes. The server answers with the same and its own
 * time, nanoseconds since 1970, which takes 9 bytes as this one does: answers are as long as requests.
 */
export function pingFrame(): Buffer {
  const time = [0x10, 0x80, 0x80, 0x90, 0xbb, 0xba, 0xd6, 0xad, 0xf0, 0xd];
  const message = Buffer.from([0x08, 1, ...time, 0x1a, 100, ...Buffer.alloc(100, 'ping')]);
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  message.copy(frame, 5);
  return frame;
}

async function call({ stage, target }: Round, seconds: number): Promise<Sample> {
  const frame = pingFrame();
  const body = join(stage.folder, 'ping.bin');
  const log = join(stage.folder, 'h2load.log');
  writeFileSync(body, frame);
  return await requests(target, 'grpc', seconds, async (port) => {
    const seen = await h2load(stage.tools, port, { body, log, streams, seconds });
    checkAnswers(target, seen, frame.length);
    return seen;
  });
}

/** An error that is made on the way has status 200 as well, but no message. */
function checkAnswers(target: Target, seen: H2loadSeen, length: number): void {
  const answers = seen.dataBytes / length;
  if (Math.abs(answers - seen.requests) > streams) {
    throw new Error(`${target.name}: ${answers} messages for ${seen.requests} calls`);
  }
}

export const grpcLoads: readonly Load[] = [
  {
    name: 'grpc-100',
    title: 'gRPC unary, h2c, one connection with 100 streams',
    lanes: ['grpc'],
    seconds: 5,
    warm: (round) => call(round, warmSeconds(round.target)).then(() => undefined),
    measure: (round) => call(round, round.seconds),
    columns: requestColumns,
    goals: [goal('cpu', 'CPU per request', 'envoy', 0.5)],
    chart: { metric: 'cpu', unit: 'µs' },
  },
];
