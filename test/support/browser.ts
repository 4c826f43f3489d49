// A real Chromium without a window, for the tests of pages. From Debian's packages; installed when it is not there.
import { chromium, type Browser } from 'playwright-core';
import { ensureDebianPackages } from '../../hack/tools/debian-packages.ts';

const program = '/usr/bin/chromium';

export async function openBrowser(): Promise<Browser> {
  await ensureDebianPackages([[program, 'chromium']]);
  // Root, as which the cluster runs, has no sandbox in Chromium.
  return await chromium.launch({ executablePath: program, args: ['--no-sandbox'] });
}
