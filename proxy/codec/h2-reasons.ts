// Between the error codes of HTTP/2 (RFC 9113 §7) and the reasons of the neutral session.
import { H2_ERROR } from './h2-frames.ts';
import type { RequestHead, ResetReason, ResponseHead, StreamListener } from './session.ts';

export const RESET_CODES: Readonly<Record<ResetReason, number>> = {
  refused: H2_ERROR.refusedStream,
  cancelled: H2_ERROR.cancel,
  protocol: H2_ERROR.protocol,
  closed: H2_ERROR.cancel,
  'flow-control': H2_ERROR.flowControl,
  timeout: H2_ERROR.cancel,
  internal: H2_ERROR.internal,
  'too-large': H2_ERROR.internal,
  overloaded: H2_ERROR.enhanceYourCalm,
  insecure: H2_ERROR.inadequateSecurity,
};

/** What an error code of the peer's means to whoever waits for the stream. */
export function reasonOf(code: number): ResetReason {
  switch (code) {
    case H2_ERROR.refusedStream:
      return 'refused';
    case H2_ERROR.cancel:
      return 'cancelled';
    case H2_ERROR.enhanceYourCalm:
      return 'overloaded';
    case H2_ERROR.inadequateSecurity:
      return 'insecure';
    case H2_ERROR.flowControl:
      return 'flow-control';
    case H2_ERROR.protocol:
    case H2_ERROR.streamClosed:
    case H2_ERROR.frameSize:
    case H2_ERROR.compression:
      return 'protocol';
    default:
      return 'internal';
  }
}

/** Hears nothing: what a stream has once its owner gave it up. */
export const DEAF: StreamListener<RequestHead | ResponseHead> = {
  onHead: () => {},
  onData: () => {},
  onTrailers: () => {},
  onReset: () => {},
  onDrained: () => {},
};
