// The other end of the admin socket: `kubectl exec … -- node <sidecar> admin GET /config`. Prints what the
// sidecar of this pod answers; the image holds no curl.

import { request } from 'node:http';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** True where the sidecar answered with success. `args`: `[METHOD] PATH`, GET and / by default. */
export async function callAdmin(
  socketPath: string,
  args: readonly string[],
  output: Writable,
): Promise<boolean> {
  const [method, path] = args.length > 1 ? args : ['GET', args[0] ?? '/'];
  const response = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
    request({ socketPath, method, path }, resolve).on('error', reject).end();
  });
  await pipeline(response, output, { end: false });
  return response.statusCode === 200;
}
