// Jest runs TypeScript as it is: Node strips the types, so there is no transform.
// Projects: `unit` needs nothing; `netns` needs root; `cluster` needs the embedded cluster.
// Files named *.whole.test.ts run with `npm run test:full` only (test/support/samples.ts says what is left out).
const isWhole = process.env.TSMESH_FULL !== undefined;
const common = {
  transform: {},
  extensionsToTreatAsEsm: ['.ts'],
  moduleFileExtensions: ['ts', 'mjs', 'js', 'json', 'node'],
  testEnvironment: 'node',
};
export default {
  projects: [
    {
      ...common,
      displayName: 'unit',
      testMatch: [
        '<rootDir>/{operator,proxy,hack,test/support,test/conformance,test/fuzz}/**/*.test.ts',
      ],
    },
    { ...common, displayName: 'netns', testMatch: ['<rootDir>/test/netns/**/*.test.ts'] },
    {
      ...common,
      displayName: 'cluster',
      testMatch: ['<rootDir>/test/cluster/**/*.test.ts'],
      testPathIgnorePatterns: isWhole ? [] : [String.raw`\.whole\.test\.ts$`],
      setupFilesAfterEnv: ['<rootDir>/test/support/cluster-setup.ts'],
    },
  ],
};
