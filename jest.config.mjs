// Jest runs TypeScript as it is: Node strips the types, so there is no transform.
// Projects: `unit` needs nothing; `netns` needs root; `cluster` needs the embedded cluster.
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
      setupFilesAfterEnv: ['<rootDir>/test/support/cluster-setup.ts'],
    },
  ],
};
