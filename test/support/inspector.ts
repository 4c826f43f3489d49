// Test support: runs code in the worker thread of a sidecar process that was started with --inspect, as a
// debugger would. So a worker dies where the test says, without a way to kill it in the product.

import { once } from 'node:events';
import { until } from './identity-files.ts';
import type { SidecarProcess } from './sidecar-process.ts';

interface Event {
  method?: string;
  params?: { sessionId?: string };
}

/** Does not wait for what the code does. */
export async function evaluateInWorker(sidecar: SidecarProcess, code: string): Promise<void> {
  const announced = /ws:\/\/\S+/;
  await until(() => announced.test(sidecar.errors()));
  const socket = new WebSocket(announced.exec(sidecar.errors())![0]);
  await once(socket, 'open');
  const sessions: string[] = [];
  socket.addEventListener('message', ({ data }) => {
    const event = JSON.parse(String(data)) as Event;
    if (event.method === 'NodeWorker.attachedToWorker') sessions.push(event.params!.sessionId!);
  });
  const send = (id: number, method: string, params: object): void =>
    socket.send(JSON.stringify({ id, method, params }));
  send(1, 'NodeWorker.enable', { waitForDebuggerOnStart: false });
  await until(() => sessions.length > 0);
  const message = JSON.stringify({
    id: 1,
    method: 'Runtime.evaluate',
    params: { expression: code },
  });
  send(2, 'NodeWorker.sendMessageToWorker', { sessionId: sessions[0], message });
  // A process that ends waits for its debugger to go.
  socket.close();
}
