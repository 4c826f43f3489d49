// Ends connections that nobody uses or that no longer answer. Knows HTTP/2 sessions, not their streams.

import type { ServerHttp2Session } from 'node:http2';
import type { Clock, Timer } from '../resources/clock.ts';

/** A connection opens a stream at once. */
const idleMs = 15_000;
const pingEveryMs = 20_000;
/** A sidecar opens one; each that is refused costs a line of the log. */
const maxStreams = 64;

export function watchSession(session: ServerHttp2Session, clock: Clock): void {
  let open = 0;
  let opened = 0;
  let answered = true;
  let idle: Timer | null = clock.after(idleMs, () => session.destroy());
  const ping = () => {
    // A destroyed session says so later, by 'close'; a ping before that would throw.
    if (session.destroyed) return;
    if (!answered) return session.destroy();
    answered = false;
    session.ping(() => (answered = true));
    timer = clock.after(pingEveryMs, ping);
  };
  let timer = clock.after(pingEveryMs, ping);
  session.on('stream', (stream) => {
    open += 1;
    opened += 1;
    if (opened > maxStreams) return session.destroy();
    idle?.cancel();
    idle = null;
    stream.once('close', () => {
      open -= 1;
      if (open === 0 && !session.destroyed) idle = clock.after(idleMs, () => session.destroy());
    });
  });
  session.once('close', () => {
    timer.cancel();
    idle?.cancel();
  });
}
