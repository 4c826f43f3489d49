// How Node runs in each image: its flags and its environment. Benchmarks and suites that start a sidecar themselves
// start it so, too.
import type { ImageName } from './definitions.ts';

/**
 * The sidecar's garbage dies young: with V8's own 16 MB of new space it held 92 MB of private memory
 * after 20,000 requests, with 2 MB it holds 41, at no more CPU time (measured, two sidecars, HTTP/1.1).
 * Without the middle one of V8's compilers, whose code the last one replaces after some seconds under load
 * anyway, it holds 27 of then 37, at the same CPU time.
 * What exposing the collector is for: proxy/net/socket-reader.ts.
 */
export const nodeFlags: Partial<Record<ImageName, readonly string[]>> = {
  proxy: ['--max-semi-space-size=2', '--no-maglev', '--expose-gc'],
};

/** glibc gives each thread of V8 a heap of its own, which holds 2 MB more of private memory, idle or not. */
export const environments: Partial<Record<ImageName, Readonly<Record<string, string>>>> = {
  proxy: { MALLOC_ARENA_MAX: '1' },
};
