// A client of the API server with a person's rights: kubeconfig, contexts and login plugins as kubectl has
// them. For the command line; the operator itself has createTransport.

import type { Duplex } from 'node:stream';
import { KubeConfig } from '@kubernetes/client-node';
import type { ApiClient } from '../resources/api-client.ts';
import type { Clock } from '../resources/clock.ts';
import { errorText } from '../resources/logger.ts';
import { createApiClient } from './api.ts';
import { execInPod, type PodCommand, type RunningCommand } from './exec.ts';
import { forwardToPod, type PodPort } from './port-forward.ts';
import { transportFor, type KubeRequest, type KubeResponse } from './transport.ts';

export interface UserClient {
  api: ApiClient;
  /** `https://10.0.0.1:6443`, for messages. */
  server: string;
  /** Of the context; `default` where it names none. */
  namespace: string;
  /** Any path of the API server; rejects where there was no answer. */
  send(request: KubeRequest): Promise<KubeResponse>;
  /** A byte stream to a port of a pod; rejects in words. */
  forward(to: PodPort): Promise<Duplex>;
  /** Runs in a container of a pod; rejects in words. */
  exec(command: PodCommand): Promise<RunningCommand>;
  close(): void;
}

export interface UserClientOptions {
  /** A file; undefined: $KUBECONFIG, then ~/.kube/config, then the pod that this runs in. */
  kubeconfig: string | undefined;
  /** Undefined: the current one. */
  context: string | undefined;
  clock: Clock;
  random: () => number;
}

/** A person waits: an address that does not answer is given up sooner than by the operator. */
const connectTimeoutMs = 3_000;

/** What client-node makes up when it finds nothing at all. */
const nowhere = 'http://localhost:8080';

/** Throws an Error in words where there is no such file, context or cluster. */
export function createUserClient(options: UserClientOptions): UserClient {
  const config = load(options);
  const { clock, random } = options;
  const transport = transportFor(config, { nowMs: () => clock.nowMs(), connectTimeoutMs });
  return {
    api: createApiClient({ transport, clock, random }),
    server: config.getCurrentCluster()?.server ?? '',
    namespace: config.getContextObject(config.getCurrentContext())?.namespace ?? 'default',
    send: (request) => transport.send(request),
    forward: (to) => forwardToPod(config, to),
    exec: (command) => execInPod(config, command),
    close: () => transport.close(),
  };
}

function load({ kubeconfig, context }: UserClientOptions): KubeConfig {
  const config = new KubeConfig();
  try {
    if (kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
  } catch (error) {
    throw new Error(`the kubeconfig cannot be read: ${errorText(error)}`, { cause: error });
  }
  if (config.getCurrentCluster()?.server === nowhere)
    throw new Error('there is no kubeconfig: no $KUBECONFIG and no ~/.kube/config');
  if (context === undefined) return config;
  const known = config.getContexts().map(({ name }) => name);
  if (!known.includes(context))
    throw new Error(`the kubeconfig has no context ${context}; it has: ${known.join(', ')}`);
  config.setCurrentContext(context);
  return config;
}
