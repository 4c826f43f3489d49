// One upstream HTTP connection in the pool: the session, its driver, and what the pool has to remember.

import type { ClientSession, ClientStream, RequestHead, StreamListener } from '../codec/session.ts';
import type { ResponseHead } from '../codec/session.ts';
import { SessionConnection } from '../net/session-connection.ts';
import type { ConnectionOwner } from '../net/session-connection.ts';
import type { Io, Link } from '../net/link.ts';

export class PooledConnection {
  readonly link: Link;
  readonly session: ClientSession;
  readonly driver: SessionConnection;
  /** Streams opened so far. */
  opened = 0;
  /** Whether it stands in the list of connections with room. */
  listed = false;
  lastUsedMs = 0;

  constructor(link: Link, session: ClientSession, io: Io, owner: ConnectionOwner) {
    this.link = link;
    this.session = session;
    this.driver = new SessionConnection(link, session, io, owner);
  }

  open(head: RequestHead, end: boolean, listener: StreamListener<ResponseHead>): ClientStream {
    this.opened += 1;
    return this.session.open(head, end, listener);
  }

  get usable(): boolean {
    return !this.driver.closed && this.session.reusable && this.session.capacity > 0;
  }
}
