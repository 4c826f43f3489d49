// The admission webhooks put together: paths, handlers and what they need of the operator.

import packageJson from '../package.json' with { type: 'json' };
import { operatorPorts, systemNamespace } from '../proxy/api/constants.ts';
import type { OperatorIdentity } from './ca/operator-identity.ts';
import type { CaSource } from './ca/types.ts';
import type { OperatorConfig } from './config.ts';
import { grantIdentityAccess } from './controllers/identity-access.ts';
import { webhookPaths, type HandlerDeps } from './inject/admission.ts';
import { createNamespaceHandler } from './inject/namespace-handler.ts';
import { limitEvents } from './inject/limited-events.ts';
import { createPodHandler } from './inject/pod-handler.ts';
import { createValidateHandler } from './inject/validate-handler.ts';
import { createWebhookServer, type WebhookServer } from './inject/webhook-server.ts';
import type { PodEntry, View } from './model/view.ts';
import type { ApiClient, EventRecorder } from './resources/api-client.ts';
import type { Clock } from './resources/clock.ts';
import type { Logger } from './resources/logger.ts';
import type { Mesh } from './resources/tsmesh.ts';

export interface AdmissionDeps {
  config: OperatorConfig;
  api: ApiClient;
  events: EventRecorder;
  ca: CaSource;
  identity: OperatorIdentity;
  getMesh: () => Mesh | null;
  view: () => View;
  /** Content of the file that `config.webhookClientCa` names. */
  clientCaPem: string | null;
  clock: Clock;
  logger: Logger;
}

const serviceName = 'tsmesh-operator';

export function createAdmission(deps: AdmissionDeps): WebhookServer {
  const { api, clock } = deps;
  const handlerDeps: HandlerDeps = {
    api,
    events: limitEvents(deps.events, { clock, log: deps.logger }),
    ca: deps.ca,
    clock,
    getMesh: deps.getMesh,
    getNamespace: (name) => deps.view().namespaces.get(name) ?? null,
    podsOf: (namespace) => podsOf(deps.view(), namespace),
    prepareNamespace: (namespace) => grantIdentityAccess(api, namespace),
    settings: {
      images: { proxy: deps.config.proxyImage, init: deps.config.initImage },
      operatorAddresses: () => operatorAddresses(deps.config, deps.view()),
      version: packageJson.version,
    },
  };
  return createWebhookServer({
    tls: deps.identity,
    clientCaPem: deps.clientCaPem,
    log: deps.logger,
    clock,
    handlers: {
      [webhookPaths.pods]: createPodHandler(handlerDeps),
      [webhookPaths.namespaces]: createNamespaceHandler(handlerDeps),
      [webhookPaths.validate]: createValidateHandler(handlerDeps),
    },
  });
}

function podsOf(view: View, namespace: string): PodEntry[] {
  return [...view.pods.values()].filter((pod) => pod.namespace === namespace);
}

/** Where sidecars find the discovery service: the ClusterIP first, so that DNS is not needed to start. */
export function operatorAddresses(config: OperatorConfig, view: View): string[] {
  const byName = `${serviceName}.${systemNamespace}.svc:${operatorPorts.discovery}`;
  if (config.discoveryHost !== null) {
    return [`${config.discoveryHost}:${operatorPorts.discovery}`, byName];
  }
  const service = view.services.get(`${systemNamespace}/${serviceName}`);
  const clusterIp = service?.spec.clusterIP ?? 'None';
  if (clusterIp === 'None' || clusterIp === '') return [byName];
  const host = clusterIp.includes(':') ? `[${clusterIp}]` : clusterIp;
  return [`${host}:${operatorPorts.discovery}`, byName];
}
