import { describe, expect, it } from '@jest/globals';
import { parseFortio, parseH2load, parseWrk } from './generators.ts';

describe('the output of wrk', () => {
  it('is read from the line of our script, wherever it stands', () => {
    const figures = '{"requests":50000,"microseconds":2000000,"p50":1500,"p99":9000,"failed":3}';
    const output = `Running 2s test @ http://127.0.0.1:1/\n  1 threads\ntsmesh-bench ${figures}\n`;
    expect(parseWrk(output)).toEqual({
      requests: 50_000,
      requestsPerSecond: 25_000,
      p50Ms: 1.5,
      p99Ms: 9,
      failed: 3,
    });
  });

  it('without that line is an error that shows what wrk said', () => {
    expect(() => parseWrk('unable to connect')).toThrow('unable to connect');
  });
});

describe('the output of fortio', () => {
  const result = {
    ActualQPS: 999.5,
    RetCodes: { '200': 4990, '503': 10 },
    DurationHistogram: {
      Count: 5000,
      Percentiles: [
        { Percentile: 50, Value: 0.0005 },
        { Percentile: 99, Value: 0.004 },
      ],
    },
  };

  it('is JSON after log lines, in seconds', () => {
    expect(parseFortio(`Fortio 1.66.5 running\n${JSON.stringify(result)}\n`)).toEqual({
      requests: 5000,
      requestsPerSecond: 999.5,
      p50Ms: 0.5,
      p99Ms: 4,
      failed: 10,
    });
  });

  it('counts everything as failed where nothing was answered 200', () => {
    const nothing = { ...result, RetCodes: { '-1': 5000 } };
    expect(parseFortio(JSON.stringify(nothing)).failed).toBe(5000);
  });

  it('without the wanted percentile is an error', () => {
    const none = { ...result, DurationHistogram: { Count: 0, Percentiles: null } };
    expect(() => parseFortio(JSON.stringify(none))).toThrow('no percentile 50');
  });

  it('without JSON is an error that shows what fortio said', () => {
    expect(() => parseFortio('Aborting because of dial')).toThrow('Aborting because of dial');
  });
});

describe('the output of h2load', () => {
  const output = [
    'finished in 2.00s, 10399.00 req/s, 1.50MB/s',
    'requests: 20798 total, 20898 started, 20798 done, 20797 succeeded, 1 failed, 0 errored, 0 timeout',
    'status codes: 20798 2xx, 0 3xx, 0 4xx, 0 5xx',
    'traffic: 3.05MB (3202984) total, 624.03KB (639000) headers (space savings 90.00%), 2.33MB (2440000) data',
  ].join('\n');
  const line = (status: number, microseconds: number): string =>
    `1700000000000\t${status}\t${microseconds}`;

  it('is its summary and, for the percentiles, a line per request', () => {
    const lines = Array.from({ length: 100 }, (_, index) => line(200, (index + 1) * 1000));
    expect(parseH2load(output, `${lines.join('\n')}\n`)).toEqual({
      requests: 100,
      requestsPerSecond: 10_399,
      p50Ms: 51,
      p99Ms: 100,
      failed: 1,
      dataBytes: 2_440_000,
    });
  });

  it('counts other answers than 200 as failed, on top of what h2load counts', () => {
    const seen = parseH2load(output, `${line(200, 10)}\n${line(503, 10)}\n${line(-1, 10)}\n`);
    expect({ requests: seen.requests, failed: seen.failed }).toEqual({ requests: 1, failed: 3 });
  });

  it('without a summary is an error that shows what h2load said', () => {
    expect(() => parseH2load('could not resolve', '')).toThrow('could not resolve');
  });
});
