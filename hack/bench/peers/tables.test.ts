import { describe, expect, it } from '@jest/globals';
import { chart } from './chart.ts';
import { between, section } from './document.ts';
import { goal } from './load.ts';
import { isWhole, parseOptions, selectNames } from './options.ts';
import { figure, spreadOf } from './statistics.ts';
import { figuresTable, goalsTable, titleOf, type LoadResult } from './tables.ts';
import { spreadOfMetric, verdictsOf, type Rounds } from './verdicts.ts';

const load: LoadResult['load'] = {
  name: 'get',
  title: 'GET, 1 KB & more',
  lanes: ['get'],
  columns: [{ metrics: ['cpu', 'other'], title: 'CPU / other' }],
  goals: [
    goal('cpu', 'CPU', 'envoy', 0.5),
    goal('cpu', 'CPU', 'haproxy', 1),
    { metric: 'speed', title: 'MB/s', against: 'envoy', bound: 0.9, sense: 'at least' },
    goal('cpu', 'CPU', null, 12),
  ],
  chart: { metric: 'cpu', unit: 'µs' },
};

const rounds: Rounds = {
  tsmesh: [
    { cpu: 10, speed: 80, p99: 3 },
    { cpu: 12, speed: 100, p99: 5 },
    { cpu: 11, speed: 90, p99: 4 },
  ],
  'envoy-h1': [{ cpu: 30, speed: 100, p99: 9 }],
  'envoy-h2': [{ cpu: 20, speed: 60, p99: 9 }],
  haproxy: [{ cpu: 10, speed: 50, p99: 2 }],
  direct: [{ p99: 1 }],
};
const titles = { tsmesh: 'tsmesh', 'envoy-h1': 'Envoy <1>' };

describe('median and spread', () => {
  it('of odd many is the middle, of even many the mean of both middles', () => {
    expect(spreadOf([5, 1, 3])).toEqual({ median: 3, min: 1, max: 5 });
    expect(spreadOf([4, 1, 3, 2])).toEqual({ median: 2.5, min: 1, max: 4 });
    expect(spreadOf([7])).toEqual({ median: 7, min: 7, max: 7 });
  });

  it('of what only some peers have is absent for the others', () => {
    expect(spreadOfMetric(rounds, 'direct', 'cpu')).toBeNull();
    expect(spreadOfMetric(rounds, 'nginx', 'cpu')).toBeNull();
  });

  it('of what is added is over the median without proxies', () => {
    expect(spreadOfMetric(rounds, 'tsmesh', 'addedP99')).toEqual({ median: 3, min: 2, max: 4 });
    expect(spreadOfMetric({ tsmesh: rounds['tsmesh']! }, 'tsmesh', 'addedP99')).toBeNull();
  });

  it('are shown with three digits at most, thousands with a comma', () => {
    expect([0.123, 1.234, 12.34, 123.4, 1234.5].map(figure)).toEqual([
      '0.12',
      '1.23',
      '12.3',
      '123',
      '1,235',
    ]);
    expect(figure(Number.NaN)).toBe('–');
  });
});

describe('a goal', () => {
  it("is held against the better of Envoy's modes, in the goal's own sense", () => {
    const verdicts = verdictsOf(load, rounds, 'tsmesh');
    expect(verdicts.map(({ other, ratio, met }) => [other, ratio, met])).toEqual([
      [20, 0.55, false],
      [10, 1.1, false],
      [100, 0.9, true],
      [null, 11, true],
    ]);
  });

  it('without its peer in the run has no verdict', () => {
    const alone = { tsmesh: rounds['tsmesh']! };
    expect(verdictsOf(load, alone, 'tsmesh').map(({ met }) => met)).toEqual([
      null,
      null,
      null,
      true,
    ]);
  });
});

describe('the tables', () => {
  it('say each goal with its verdict', () => {
    expect(goalsTable([{ load, rounds }]).split('\n')[2]).toBe(
      "| GET, 1 KB & more | CPU    | 11.0   | Envoy's better mode: 20.0 | 0.55 × | ≤ 0.5 × | **no** |",
    );
  });

  it('leave out goals that cannot be judged, and name the bundle where there are several', () => {
    const some = { 'tsmesh@dist/a.mjs': rounds['tsmesh']! };
    const lines = goalsTable([{ load, rounds: some }]).split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[2]).toContain('GET, 1 KB & more, tsmesh@dist/a.mjs');
  });

  it('show median and spread, and nothing where nothing was measured', () => {
    const lines = figuresTable({ load, rounds }, titles).split('\n');
    expect(lines[2]).toContain('| tsmesh           | 11.0 (10.0–12.0) / – |');
    expect(lines[3]).toContain('| Envoy <1>        | 30.0 / –');
    expect(lines.at(-1)).toMatch(/^\| direct +\| +\|$/);
  });
});

describe('the name of a peer', () => {
  it('says nothing of HTTP on the opaque path', () => {
    const modes = { 'envoy-h2': 'Envoy, HTTP/2 between' };
    expect(titleOf({ load, rounds }, 'envoy-h2', modes)).toBe('Envoy, HTTP/2 between');
    const opaque = { load: { ...load, lanes: ['tcp'] as const }, rounds };
    expect(titleOf(opaque, 'envoy-h2', modes)).toBe('Envoy');
  });
});

describe('the chart', () => {
  const svg = chart('CPU <each>', [{ load, rounds }], titles);

  it('has a bar for each peer that has the figure, as long as its share of the longest', () => {
    const widths = [...svg.matchAll(/<rect class="bar[^"]*" x="170" y="\d+" width="([\d.]+)"/g)];
    expect(widths.map(([, width]) => Number(width))).toEqual([179.7, 490, 326.7, 163.3]);
  });

  it('escapes what XML does not take, and knows dark ground', () => {
    expect(svg).toContain('<title>CPU &lt;each&gt;</title>');
    expect(svg).toContain('GET, 1 KB &amp; more');
    expect(svg).toContain('Envoy &lt;1&gt;');
    expect(svg).toContain('prefers-color-scheme:dark');
    expect(svg).not.toMatch(/NaN|undefined/);
  });

  it('leaves out loads that have no figure for it', () => {
    const { chart: _, ...without } = load;
    expect(chart('none', [{ load: without, rounds }], titles)).not.toContain('<rect');
  });
});

describe('the document', () => {
  const results = [{ load, rounds, measuredAt: '2026-11-22T20:00:00.000Z' }];

  it('says when, how many rounds, and shows the figures', () => {
    const text = section(results, ['![a](b.svg)'], titles);
    expect(text).toContain('Measured 2026-11-22, 1 to 3 rounds each');
    expect(text).toContain('![a](b.svg)');
  });

  it('changes only what is between the marks, as often as it is written', () => {
    const page = (body: string): string =>
      `before\n<!-- peers: begin, written by the bench -->\n${body}\n<!-- peers: end -->\nafter\n`;
    expect(between(page('old'), 'new')).toBe(page('new'));
    expect(between(page('new'), 'new')).toBe(page('new'));
  });

  it('needs the marks', () => {
    expect(() => between('nothing', 'new')).toThrow('no place');
  });
});

describe('the command line', () => {
  it('takes numbers and lists', () => {
    const options = parseOptions(['--rounds', '3', '--only', 'get,rate', '--peers', 'tsmesh']);
    expect(options).toMatchObject({ rounds: 3, only: ['get', 'rate'], peers: ['tsmesh'] });
  });

  it('takes a load by its name, or all that contain it, in their order', () => {
    const names = ['get-4', 'tcp-up', 'beside-tcp-up', 'get-32'];
    expect(selectNames(names, [])).toEqual(names);
    expect(selectNames(names, ['tcp-up'])).toEqual(['tcp-up']);
    expect(selectNames(names, ['get', 'beside'])).toEqual(['get-4', 'beside-tcp-up', 'get-32']);
    expect(() => selectNames(names, ['get', 'post'])).toThrow(
      '--only post: no such load; there are get-4',
    );
  });

  it('tells a whole run from a quick one', () => {
    expect(isWhole(parseOptions(['--only', 'get']))).toBe(true);
    expect(isWhole(parseOptions(['--rounds', '7']))).toBe(true);
    expect(isWhole(parseOptions(['--rounds', '2']))).toBe(false);
    expect(isWhole(parseOptions(['--seconds', '9']))).toBe(false);
    expect(isWhole(parseOptions(['--peers', 'tsmesh']))).toBe(false);
  });

  it('refuses what is not a number, a source or a flag', () => {
    expect(() => parseOptions(['--rounds', 'many'])).toThrow(
      '--rounds many: must be a whole number',
    );
    expect(() => parseOptions(['--seconds', '0'])).toThrow('--seconds 0');
    expect(() => parseOptions(['--write', 'all'])).toThrow('--write all: must be whole or quick');
    expect(() => parseOptions(['--fast'])).toThrow('--fast');
  });
});
