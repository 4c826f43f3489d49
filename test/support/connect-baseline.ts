// What connectconformance says of its own client and server with no sidecar between: the numbers that
// test/conformance/connect.test.ts holds runs with sidecars against.
//   node test/support/connect-baseline.ts

import { runSuite, suiteModes } from '../conformance/connect-suite.ts';

for (const config of ['sample.yaml', 'whole.yaml']) {
  for (const mode of suiteModes) {
    const { total, failed } = await runSuite({ mode, way: 'none', config, only: [] });
    console.log(`${config}, mode ${mode}: ${total} cases, ${failed.length} failed`);
    for (const name of failed) console.log(`  ${name}`);
  }
}
