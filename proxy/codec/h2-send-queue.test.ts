import v8 from 'node:v8';
import vm from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { H2SendQueue } from './h2-send-queue.ts';

const owner = { onSendDone: () => undefined, onQueueDrained: () => undefined };

describe('the queue of an HTTP/2 stream', () => {
  it('gives what was put in, in order, also where it is never empty', () => {
    const queue = new H2SendQueue(1, owner, 0);
    let given = '';
    let put = '';
    for (let i = 0; i < 1000; i += 1) {
      const text = `<${i}>`;
      put += text;
      queue.push(Buffer.from(text));
      if (i >= 3) given += queue.shift(1 + (i % 5)).toString();
      if (i >= 3 && queue.bytes > 40) given += queue.shift(40).toString();
    }
    expect(queue.bytes).toBe(put.length - given.length);
    while (queue.bytes > 0) given += queue.shift(7).toString();
    expect(given).toBe(put);
  });

  it('holds no chunk that went, although others wait behind it', async () => {
    const queue = new H2SendQueue(1, owner, 0);
    const gone: WeakRef<Buffer>[] = [];
    for (let i = 0; i < 10; i += 1) {
      const chunk = Buffer.alloc(100);
      gone.push(new WeakRef(chunk));
      queue.push(chunk);
    }
    for (let i = 0; i < 9; i += 1) queue.shift(100);
    // What a WeakRef was asked for lives until the turn ends.
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    expect(gone.filter((one) => one.deref() !== undefined)).toHaveLength(1);
    expect(queue.bytes).toBe(100);
  });
});

function collectGarbage(): void {
  v8.setFlagsFromString('--expose-gc');
  (vm.runInNewContext('gc') as () => void)();
}
