// Test support: a sidecar as a process of its own, from a local file; what it logs, and its health port
// and admin socket.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import type { LocalFile } from '../../proxy/api/validate.ts';

const program = join(import.meta.dirname, '../../proxy/main.ts');

export interface Answer {
  status: number;
  body: string;
}

export interface SidecarProcess {
  child: ChildProcess;
  /** Its lines, parsed. */
  logged: Record<string, unknown>[];
  /** A GET on the health port. */
  health(path: string): Promise<Answer>;
  admin(path: string, method?: string): Promise<unknown>;
  adminPath: string;
  /** Exit code, or the signal that ended it. */
  ended: Promise<number | string>;
  /** What it wrote to standard error. */
  errors(): string;
  stop(): Promise<number | string>;
}

/** Resolves when the sidecar says that it started. `nodeFlags` stand before the program. */
export async function startSidecarProcess(
  content: LocalFile,
  nodeFlags: readonly string[] = [],
): Promise<SidecarProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'tsmesh-process-'));
  const file = join(folder, 'config.json');
  const socketPath = join(folder, 'admin.sock');
  writeFileSync(file, JSON.stringify({ ...content, admin: socketPath }));
  const child = spawn(process.execPath, [...nodeFlags, program], {
    env: { ...process.env, TSMESH_CONFIG_FILE: file },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close').then(([code, signal]) => {
    rmSync(folder, { recursive: true, force: true });
    return (code ?? signal) as number | string;
  });
  const logged: SidecarProcess['logged'] = [];
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => (errors += part));
  const port = await new Promise<number>((resolve, reject) => {
    void ended.then((code) => reject(new Error(`ended with ${code}: ${errors}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const entry = JSON.parse(line) as Record<string, unknown>;
      logged.push(entry);
      if (entry['message'] === 'sidecar started') resolve(entry['health'] as number);
    });
  });
  return {
    child,
    logged,
    health: (path) => ask({ host: '127.0.0.1', port, path }),
    adminPath: socketPath,
    admin: async (path, method = 'GET') =>
      JSON.parse((await ask({ socketPath, path, method })).body) as unknown,
    ended,
    errors: () => errors,
    stop() {
      if (child.exitCode === null) child.kill('SIGTERM');
      return ended;
    },
  };
}

function ask(options: Record<string, unknown>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request({ agent: false, ...options }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode!, body }), reject);
    })
      .on('error', reject)
      .end();
  });
}
