// `kubectl tsmesh dashboard` in a real Chromium, against the operator of a real cluster with live traffic.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { repository } from '../../hack/lib/paths.ts';
import { openBrowser } from '../support/browser.ts';
import { execIn, startLoad } from '../support/calls.ts';
import { buildCommandLine } from '../support/command-line.ts';
import { cluster } from '../support/kubectl.ts';
import { createNamespace, deleteNamespace, deployEcho } from '../support/namespaces.ts';

const namespace = 't-dashboard';
const caller = { namespace, app: 'caller' };
let browser: Browser;
let page: Page;
let command: ChildProcess;
let url: string;
const problems: string[] = [];
const origins = new Set<string>();

describe('the dashboard', () => {
  beforeAll(async () => {
    await Promise.all([buildCommandLine(), createNamespace(namespace, true)]);
    await Promise.all([
      deployEcho(namespace, { name: 'web' }),
      deployEcho(namespace, { name: 'caller' }),
    ]);
    browser = await openBrowser();
    await startLoad(caller, 'http://web', '--rate', '20', '--seconds', '300');
    url = await startCommand();
    page = await browser.newPage();
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('request', (request) => origins.add(new URL(request.url()).origin));
    await page.goto(url);
  }, 240_000);
  afterAll(async () => {
    await browser?.close();
    command?.kill();
    await execIn(caller, ['end-loads']);
    await deleteNamespace(namespace);
  }, 240_000);

  it('shows who calls whom, with the rate, and that it is mTLS', async () => {
    await page.selectOption('#namespace', namespace);
    const edge = page.locator('.edge', { hasText: 'caller → web' });
    await edge.waitFor({ state: 'attached', timeout: 30_000 });
    expect(await edge.textContent()).toMatch(/mTLS: yes/);
    expect(await edge.textContent()).toContain(`spiffe://`);
    await page.locator('.node', { hasText: 'web' }).waitFor();
    expect(await page.locator('#summary').textContent()).toMatch(/2 workloads, 2\/2 sidecars/);
  });

  it('shows the last hour of a workload, its callers and its pods', async () => {
    await page.locator('.node', { hasText: 'web' }).click();
    await page.locator('h2', { hasText: 'web' }).waitFor();
    const line = page.locator('figure', { hasText: 'Requests' }).locator('.series');
    expect(await line.getAttribute('d')).toMatch(/L/);
    expect(await page.locator('figure').count()).toBe(3);
    const text = await page.locator('main').innerText();
    expect(text).toMatch(/Called by[\s\S]*caller[\s\S]*Pods[\s\S]*web-/);
  });

  it.each(['light', 'dark'] as const)('can be read in %s', async (colorScheme) => {
    await page.emulateMedia({ colorScheme });
    const worst = await worstContrast();
    // WCAG 2.2, 1.4.3: at least 4.5 to 1 for text.
    expect(worst.ratio).toBeGreaterThanOrEqual(4.5);
    expect(worst.texts).toBeGreaterThan(10);
  });

  it('takes everything from the operator, and nothing went wrong', () => {
    expect([...origins]).toEqual([new URL(url).origin]);
    expect(problems).toEqual([]);
  });

  it('says when the operator does not answer any more, and keeps what it knew', async () => {
    command.kill();
    await once(command, 'exit');
    const state = page.locator('#state');
    await page.locator('#state.bad').waitFor({ timeout: 20_000 });
    expect(await state.textContent()).toMatch(
      /^No answer from the operator: .* What is shown is of /,
    );
    expect(await page.locator('h2').textContent()).toBe('web');
  });
});

async function startCommand(): Promise<string> {
  const { kubeconfig } = await cluster();
  const file = join(repository, 'dist/cli/tsmesh.mjs');
  command = spawn(
    process.execPath,
    [file, 'dashboard', '--no-browser', '--kubeconfig', kubeconfig],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  for await (const line of createInterface({ input: command.stdout! })) {
    const [address] = /http:\/\/localhost:\d+\//.exec(line) ?? [];
    if (address !== undefined) return address;
  }
  throw new Error('the dashboard did not say where it is');
}

/** The smallest contrast between a text and what is behind it, and how many texts there are. */
async function worstContrast(): Promise<{ ratio: number; texts: number }> {
  const pairs = (await page.evaluate(coloursOfTexts)) as [string, string][];
  const ratios = pairs.map(([text, behind]) => {
    const [one, other] = [luminance(text), luminance(behind)];
    return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  });
  return { ratio: Math.min(...ratios), texts: pairs.length };
}

/** Runs in the page, which has other types than the tests: each text's colour, and the nearest one behind it. */
const coloursOfTexts = `(() => {
  const isClear = (color) => /^rgba\\(.*, 0\\)$/.test(color);
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const { backgroundColor } = getComputedStyle(at);
      if (!isClear(backgroundColor)) return backgroundColor;
    }
    return 'rgb(255, 255, 255)';
  };
  const hasText = (element) =>
    [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== '');
  return [...document.querySelectorAll('body *')]
    .filter((element) => hasText(element) && !element.matches('option, title, noscript'))
    .map((element) => {
      const { fill, color } = getComputedStyle(element);
      return [element instanceof SVGElement ? fill : color, behind(element)];
    });
})()`;

/** Relative luminance, as WCAG 2.2 defines it, of `rgb(…)`. */
function luminance(color: string): number {
  const [r = 0, g = 0, b = 0] = (color.match(/[\d.]+/g) ?? []).map((channel) => {
    const share = Number(channel) / 255;
    return share <= 0.040_45 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
