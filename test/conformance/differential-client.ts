// The client of the differential test: writes raw bytes, then a plain request, and waits until that was answered, the
// connection ended, or nothing has come for a while.

import { connect } from 'node:net';
import type { Proxy } from './differential-peers.ts';
import type { Recorded } from './differential-recorder.ts';

/** What a proxy made of one case. */
export interface Outcome {
  /** What reached the upstream, without the plain request behind, in the order of arrival. */
  forwarded: Recorded[];
  /** The plain request behind was taken for a request of its own. */
  followed: boolean;
  /** Everything that the client got. */
  received: string;
  closed: boolean;
}

/** Long enough for most on a busy machine, since a silent peer costs this much. */
const QUIET_MS = 700;
/** For a second look at what may have been a hiccup of the machine. */
export const PATIENT_MS = 3500;

const FOLLOWER = 'sentinel';

export function caseId(number: number): string {
  return `case-${String(number).padStart(4, '0')}`;
}

export function withId(raw: string, id: string): string {
  return raw.replaceAll('ID', id);
}

export async function ask(
  proxy: Proxy,
  id: string,
  raw: string,
  quietMs = QUIET_MS,
): Promise<Outcome> {
  const follower = `GET /${id}/${FOLLOWER} HTTP/1.1\r\nHost: ${id}.test\r\n\r\n`;
  const isFollower = (one: Recorded): boolean => one.target === `/${id}/${FOLLOWER}`;
  const answered = (): boolean => proxy.recorder.of(id).some(isFollower);
  const { received, closed } = await talk(
    proxy.port,
    withId(raw, id) + follower,
    answered,
    quietMs,
  );
  const all = proxy.recorder.of(id);
  return {
    forwarded: all.filter((one) => !isFollower(one)).map((one) => ({ ...one })),
    followed: all.some((one) => isFollower(one)),
    received,
    closed,
  };
}

/** Resolves when the connection ended, or `done` held or nothing happened for a while. */
export function talk(
  port: number,
  text: string,
  done: () => boolean,
  quietMs = QUIET_MS,
): Promise<{ received: string; closed: boolean }> {
  return new Promise((resolve) => {
    let received = '';
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    let quiet = setTimeout(() => finish(false), quietMs);
    const finish = (closed: boolean): void => {
      clearTimeout(quiet);
      socket.destroy();
      resolve({ received, closed });
    };
    socket.on('connect', () => socket.write(Buffer.from(text, 'latin1')));
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
      clearTimeout(quiet);
      // The answer to the last request may come before an earlier one is seen to be wrong.
      quiet = setTimeout(() => finish(false), done() ? quietMs / 8 : quietMs);
    });
    socket.on('end', () => finish(true));
    socket.on('error', () => finish(true));
  });
}
