// One upstream HTTP connection in the pool: the session, its driver, and what the pool has to remember.

import type { ClientSession, ClientStream, RequestHead, StreamListener } from '../codec/session.ts';
import type { ResponseHead } from '../codec/session.ts';
import { SessionConnection } from '../net/session-connection.ts';
import type { ConnectionOwner } from '../net/session-connection.ts';
import type { Io, Link } from '../net/link.ts';
import type { DestinationUse } from '../policy/limits.ts';
import type { IdleLimit } from './idle-limit.ts';

export class PooledConnection {
  readonly link: Link;
  readonly session: ClientSession;
  readonly driver: SessionConnection;
  /** Streams opened so far. */
  opened = 0;
  /** Whether it stands in the list of connections with room. */
  listed = false;
  lastUsedMs = 0;
  /** Since when nothing has been under way on it; -1: something is, or nobody asks. */
  idleSinceMs = -1;
  /** How long that was, before what is under way now. */
  idledMs = 0;
  /** Null: it carries many streams, and says itself when it ends. */
  idleLimit: IdleLimit | null = null;
  /** Its server knows who calls: the workload, besides the identity. */
  introduced = false;
  /** Where it counts; null: nowhere. */
  use: DestinationUse | null = null;

  constructor(link: Link, session: ClientSession, io: Io, owner: ConnectionOwner) {
    this.link = link;
    this.session = session;
    this.driver = new SessionConnection(link, session, io, owner);
  }

  open(head: RequestHead, end: boolean, listener: StreamListener<ResponseHead>): ClientStream {
    this.opened += 1;
    return this.session.open(head, end, listener);
  }

  /** It ended, without an answer, under a request that came when it had been idle: its server had had enough. */
  noteRace(): void {
    this.idleLimit?.ended(this.idledMs, this.lastUsedMs);
  }

  get usable(): boolean {
    return !this.driver.closed && this.session.reusable && this.session.capacity > 0;
  }
}
