// The checks that need no running code. Each counts as one.

export interface Check {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

export const checks: readonly Check[] = [
  { name: 'formatting', command: 'prettier', args: ['--check', '--log-level', 'warn', '.'] },
  { name: 'lint and folder boundaries', command: 'oxlint', args: [] },
  { name: 'types', command: 'tsc', args: [] },
  { name: 'types of the page', command: 'tsc', args: ['-p', 'operator/dashboard/page'] },
  { name: 'dead code', command: 'knip', args: ['--no-progress'] },
  { name: 'generated files', command: 'node', args: ['hack/generate.ts', '--check'] },
];
