// h2spec (RFC 7540, RFC 7541) against sidecars as processes: the HTTP/2 that apps see on a port declared h2c, and the one
// that peers of the mesh see. It takes a few seconds, so every case always runs, the strict ones included.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from '@jest/globals';
import { ensureGoProgram } from '../../hack/tools/peers.ts';
import { startApp, startProcessMesh, startTlsRelay } from './h2spec-mesh.ts';

/** Cases of generic, http2 and hpack in h2spec 2.2.1 with `--strict`. */
const CASES = 146;

/**
 * Cases that RFC 9113 overruled or took back. None needs an excuse: what they ask for is still allowed, and done.
 * docs/conformance.md says the same to readers.
 */
const OVERRULED: readonly (readonly [string, string])[] = [
  [
    'http2/5.3.1/1',
    'RFC 9113 §5.3.2: priority is deprecated; a stream may still not depend on itself',
  ],
  ['http2/5.3.1/2', 'RFC 9113 §5.3.2: the same in a PRIORITY frame'],
];

/**
 * Sidecars take frames of 64 KiB from each other. Case http2/4.2/3 sends a frame of five fields of so many letters, seven
 * bits each in Huffman code, which must be larger than that to be too large.
 */
const LARGE_FRAMES = ['--max-header-length', '18000'];

interface Case {
  /** Package and number in it, as h2spec takes it on its command line. */
  id: string;
  title: string;
  /** Empty: passed. */
  problem: string;
}

/** JUnit as h2spec writes it: one `testcase` per line or block, in order within its package. */
function parseReport(xml: string): Case[] {
  const counts = new Map<string, number>();
  const pattern =
    /<testcase package="([^"]*)" classname="([^"]*)"[^>]*?(?:\/>|>([^]*?)<\/testcase>)/g;
  return [...xml.matchAll(pattern)].map(([, group, title, body]) => {
    const number = (counts.get(group!) ?? 0) + 1;
    counts.set(group!, number);
    return {
      id: `${group}/${number}`,
      title: unescape(title!),
      problem: unescape(body ?? '').trim(),
    };
  });
}

function unescape(xml: string): string {
  const character = (_: string, code: string) => String.fromCharCode(Number(code));
  return xml
    .replace(/&#(\d+);/g, character)
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
}

async function h2spec(port: number, more: readonly string[] = []): Promise<Case[]> {
  const program = await ensureGoProgram('h2spec');
  const directory = mkdtempSync(join(tmpdir(), 'tsmesh-h2spec-'));
  const report = join(directory, 'report.xml');
  // The time is for busy machines: an answer in order takes milliseconds.
  const flags = ['--strict', '--timeout', '10', '--port', String(port), '--junit-report', report];
  const child = spawn(program, [...flags, ...more, 'generic', 'http2', 'hpack'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await Promise.all([text(child.stdout), once(child, 'exit')]);
    return parseReport(readFileSync(report, 'utf8'));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Before the tests are declared, so that each case is one. */
async function runBoth(): Promise<{ name: string; cases: Case[] }[]> {
  const app = await startApp(Buffer.alloc(2000, 'x'));
  const mesh = await startProcessMesh(app.address);
  const relay = await startTlsRelay(mesh.inboundPort, mesh.peerIdentity);
  try {
    return [
      { name: 'towards apps', cases: await h2spec(mesh.outboundPort) },
      { name: 'towards peers of the mesh', cases: await h2spec(relay.port, LARGE_FRAMES) },
    ];
  } finally {
    await mesh.close();
    relay.close();
    app.close();
  }
}

const runs = await runBoth();

describe.each(runs)('h2spec on HTTP/2 $name', ({ cases }) => {
  it.each(cases)('$id: $title', ({ problem }) => {
    expect(problem).toBe('');
  });

  it('is whole', () => {
    expect(cases).toHaveLength(CASES);
    const ids = cases.map(({ id }) => id);
    expect(OVERRULED.filter(([id]) => !ids.includes(id))).toEqual([]);
  });
});
