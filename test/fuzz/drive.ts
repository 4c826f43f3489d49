// Holds sessions to what all of them promise, whatever their peer sends: they never throw, they end in a state that
// says so, and what they say is bounded by what they heard.
import type { ServerSession, ClientSession, Session } from '../../proxy/codec/session.ts';
import { must } from './target.ts';

export interface Fed {
  output: Buffer;
  inputBytes: number;
}

/** Gives a session all pieces, then the end of the connection if `end`; output is taken once, at the end. */
export function feed(session: Session, pieces: readonly Buffer[], end: boolean): Fed {
  let inputBytes = 0;
  for (const piece of pieces) {
    inputBytes += piece.length;
    session.receive(piece, 0);
  }
  if (end) session.receiveEnd(0);
  const output = Buffer.concat(session.takeOutput());
  return { output, inputBytes };
}

/** A session that is over stays over and silent, whatever still comes. */
export function mustStayOver(session: ServerSession | ClientSession): void {
  const { error, aborting } = session;
  must(session.closing, 'a session that is over says closing');
  must(session.openStreams === 0, 'a session that is over has no streams');
  session.takeOutput();
  session.receive(Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n\0\0\0\x04\0\0\0\0\0'), 1);
  session.receiveEnd(2);
  session.onTimeout(1e9);
  session.drain();
  session.close();
  must(!session.hasOutput, 'a session that is over says nothing more');
  must(session.takeOutput().length === 0, 'a session that is over gives no output');
  must(session.openStreams === 0, 'nothing opens on a session that is over');
  must(session.closing && session.nextTimeoutMs() === null, 'it waits for nothing');
  must(error === null || session.error === error, 'its error stays the first', () => session.error);
  must(aborting === session.aborting, 'it does not change its mind on how to end');
  if ('capacity' in session) {
    must(session.capacity === 0 && !session.reusable, 'nobody may use it again');
  }
}
