// The other end of the admin socket: `kubectl exec … -- node <sidecar> admin GET /config`. Prints what the
// sidecar of this pod answers; the image holds no curl.

import { request } from 'node:http';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/**
 * True where the sidecar answered with success. `args`: `[--attached] [METHOD] PATH`, GET and / by default. `--attached` ends when
 * the input does: a container's runtime does not end what it was told to run when the one who watches it goes.
 */
export async function callAdmin(
  socketPath: string,
  args: readonly string[],
  { input, output }: { input: Readable; output: Writable },
): Promise<boolean> {
  const attached = args[0] === '--attached';
  const asked = attached ? args.slice(1) : args;
  const [method, path] = asked.length > 1 ? asked : ['GET', asked[0] ?? '/'];
  const response = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
    request({ socketPath, method, path }, resolve).on('error', reject).end();
  });
  const gone = new AbortController();
  if (attached) input.once('end', () => gone.abort()).resume();
  try {
    await pipeline(response, output, { end: false, signal: gone.signal });
  } catch (error) {
    if (!gone.signal.aborted) throw error;
  } finally {
    input.pause();
  }
  return response.statusCode === 200;
}
