// A command in a container of a pod, through the API server (`pods/exec`, WebSocket), with a person's rights.

import { PassThrough, type Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { Exec, type KubeConfig, type V1Status } from '@kubernetes/client-node';
import { causeOf, type Channel } from './port-forward.ts';

export interface PodCommand {
  namespace: string;
  pod: string;
  container: string;
  command: readonly string[];
}

export interface RunningCommand {
  output: Readable;
  /** Resolves when it is over: empty where it ended well, else why, with what it wrote to standard error. */
  ended: Promise<string>;
  /** Ends its input and the connection. */
  close(): void;
}

export async function execInPod(config: KubeConfig, what: PodCommand): Promise<RunningCommand> {
  const { namespace, pod, container, command } = what;
  const [output, errors, input] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const said = text(errors);
  let status: V1Status | null = null;
  let channel: Channel;
  try {
    const opened = await new Exec(config).exec(
      namespace,
      pod,
      container,
      [...command],
      output,
      errors,
      input,
      false,
      (answer) => (status = answer),
    );
    channel = opened as unknown as Channel;
  } catch (error) {
    throw new Error(causeOf(error), { cause: error });
  }
  const ended = new Promise<string>((resolve) => {
    channel.on('close', () => {
      output.end();
      errors.end();
      said.then(
        (words) => resolve(reasonOf(status, words.trim())),
        () => resolve('broken off'),
      );
    });
  });
  return {
    output,
    ended,
    close: () => channel.close(),
  };
}

function reasonOf(status: V1Status | null, said: string): string {
  if (status === null) return said === '' ? 'the connection ended' : said;
  if (status.status === 'Success') return '';
  return said === '' ? (status.message ?? 'it failed') : said;
}
