// A worker as a thread of this process (node:worker_threads): the same program, told by its arguments
// that it is one. Loaded only where `concurrency` is above 1.

import { getHeapStatistics } from 'node:v8';
import { parentPort, Worker } from 'node:worker_threads';
import type { WorkerPort } from './fleet.ts';
import type { FromWorker, ToWorker } from './messages.ts';

/** First argument of the program in a worker thread. */
export const workerCommand = 'worker';

/** `program`: file URL of the sidecar's program. */
export function startThread(program: string): WorkerPort {
  const thread = new Worker(new URL(program), { argv: [workerCommand] });
  let cause = '';
  thread.on('error', (error: Error) => {
    cause = error.stack ?? error.message;
  });
  return {
    post: (message) => thread.postMessage(message),
    onMessage: (listener) => void thread.on('message', listener),
    onEnd(listener) {
      thread.on('exit', (code) => listener(cause === '' ? `exit code ${code}` : cause));
    },
    heapSnapshot: () => thread.getHeapSnapshot(),
  };
}

export interface MainThread {
  send(message: FromWorker): void;
  onMessage(listener: (message: ToWorker) => void): void;
  close(): void;
  heapUsed(): number;
}

/** The other end, in the worker. Throws where this is no worker. */
export function mainThread(): MainThread {
  const port = parentPort;
  if (port === null)
    throw new Error(`${workerCommand} is not a command: the sidecar uses it itself`);
  return {
    send: (message) => port.postMessage(message),
    onMessage: (listener) => void port.on('message', listener),
    close: () => port.close(),
    heapUsed: () => getHeapStatistics().used_heap_size,
  };
}
