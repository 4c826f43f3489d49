// Writes what the differential test saw as the page docs/conformance-http1.md.
import { fateOf } from './differential-delivered.ts';
import { refusedRequests, refusedResponses, takenThough } from './differential-exceptions.ts';
import { lenient, others, ours } from './differential-peers.ts';
import type { RequestResult, ResponseResult } from './differential-run.ts';
import { words } from './differential-verdict.ts';

const intro = `# HTTP/1.1: the same bytes through several proxies

Written by \`test/conformance/differential.test.ts\` (\`UPDATE_GOLDEN=1\` with \`TSMESH_FULL=1\`); see [Conformance](conformance.md).
HAProxy, nginx (Debian) and Envoy as plain reverse proxies, Node's own server in lenient mode as a careless app, and our
sidecars, one in plaintext and two with mutual TLS between. Each cell says what reached the upstream (\`next\`: the plain
request that follows each case; \`…\`: its end is waited for; \`?\`: nobody can tell where it ends), or else the statuses that the
client got.

## Requests

`;

const escaped = (text: string): string =>
  text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('*', '\\*').replaceAll('_', '\\_');

/** The section; the words stand with the exceptions. */
const section = (why: string | undefined): string => /RFC [^)]*/.exec(why ?? '')?.[0] ?? '';

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(escaped).join(' | ')} |\n`;
  return line(head) + `|${' --- |'.repeat(head.length)}\n` + rows.map(line).join('');
}

export function requestTable(results: readonly RequestResult[]): string {
  const columns = [...others, lenient, ...ours] as const;
  const rows = results.map(({ name, outcomes }) => [
    name,
    ...columns.map((column) => words(outcomes[column])),
    section(refusedRequests[name] ?? takenThough[name]),
  ]);
  return intro + table(['request', ...columns, 'why we differ'], rows);
}

export function responseTable(results: readonly ResponseResult[]): string {
  const columns = [...others, ...ours] as const;
  const rows = results.map(({ name, delivered }) => [
    name,
    ...columns.map((column) => fateOf(delivered[column])),
    section(refusedResponses[name]),
  ]);
  const head = '\n## Responses\n\nWhat the client got of an odd response of the upstream.\n\n';
  return head + table(['response', ...columns, 'why we differ'], rows);
}
