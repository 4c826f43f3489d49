// Obtains the CA from the issuer of cert-manager that Mesh `default` names: keeps the key in the CA Secret,
// makes the CertificateRequest, and hands what came over to root rotation. Nobody waits for it: the CA in
// force goes on. What to do when is decided in operator/ca/issuer.ts.

import { systemNamespace } from '../../proxy/api/constants.ts';
import { createKeyPair, privateKeyPem } from '../ca/authority.ts';
import type { CaContent } from '../ca/ca-content.ts';
import { issuerOf, issuerText } from '../ca/issuer-reference.ts';
import {
  decideIssuer,
  problemOf,
  requestedDuration,
  type CertificateRequest,
  type IssuerFacts,
  type IssuerProblem,
} from '../ca/issuer.ts';
import { encode, keyFingerprint, readPrivateKey } from '../ca/pem.ts';
import { beginRotation, type RotationFacts } from '../ca/rotation.ts';
import { trustDomainOf } from '../ca/trust-domain.ts';
import { buildSigningRequest } from '../ca/x509.ts';
import { ApiError } from '../resources/api-client.ts';
import type { KubeObject } from '../resources/kubernetes.ts';
import type { ControllerContext } from './context.ts';

export interface IssuerOutcome {
  /** What the CA Secret is to hold now; null: as it is. */
  content: CaContent | null;
  problem: IssuerProblem | null;
}

const rootsName = 'tsmesh-issuer-roots';
const nothing: IssuerOutcome = { content: null, problem: null };

interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
}

/** Null where the Mesh names no issuer. Rejects with ApiError where the API server is at fault. */
export async function reconcileIssuer(
  context: ControllerContext,
  { content, authority, mesh }: RotationFacts,
): Promise<IssuerOutcome | null> {
  const issuer = issuerOf(mesh);
  if (issuer === null || mesh === null) return null;
  const facts: IssuerFacts = {
    content,
    authority,
    mesh,
    issuer,
    request: await requestOf(context, content),
    rootsPem: await rootsOf(context),
  };
  return act(context, facts);
}

async function act(context: ControllerContext, facts: IssuerFacts): Promise<IssuerOutcome> {
  const { content, issuer } = facts;
  const nowMs = context.clock.wallTimeMs();
  const decision = decideIssuer(facts, nowMs);
  switch (decision.action) {
    case 'none':
      return nothing;
    case 'prepare': {
      const requestKeyPem = privateKeyPem(createKeyPair().privateKey);
      return { ...nothing, content: { ...content, requestKeyPem } };
    }
    case 'ask':
      return ask(context, facts);
    case 'wait':
      return { content: null, problem: decision.problem };
    case 'forget': {
      const name = requestName(content.requestKeyPem!);
      await context.api.delete('CertificateRequest', systemNamespace, name);
      return { ...nothing, content: { ...content, requestKeyPem: null } };
    }
    case 'adopt': {
      const successor = { pem: decision.pem, issuedBy: issuerText(issuer) };
      const next = beginRotation(content, successor, decision.cause, nowMs);
      return { ...nothing, content: { ...next, requestKeyPem: null } };
    }
  }
}

async function ask(context: ControllerContext, facts: IssuerFacts): Promise<IssuerOutcome> {
  try {
    await context.api.create('CertificateRequest', certificateRequest(facts));
    return { ...nothing, problem: problemOf(facts, 'IssuerPending', 'it was asked just now') };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.code === 'AlreadyExists') return nothing;
    if (!['NotFound', 'Forbidden', 'Invalid', 'Other'].includes(error.code)) throw error;
    const words =
      error.code === 'NotFound'
        ? 'the API server knows no CertificateRequests: is cert-manager installed?'
        : `the API server refused the request: ${error.message}`;
    return { ...nothing, problem: problemOf(facts, 'IssuerUnavailable', words) };
  }
}

function certificateRequest(facts: IssuerFacts): CertificateRequest {
  const { content, issuer, mesh, authority } = facts;
  const keyPem = content.requestKeyPem!;
  const privateKey = readPrivateKey(keyPem)!;
  const uris = [`spiffe://${trustDomainOf(mesh, authority)}`];
  const subject = { organization: 'tsmesh', commonName: 'tsmesh issuing CA' };
  const request = buildSigningRequest({ subject, privateKey, uris });
  return {
    metadata: {
      name: requestName(keyPem),
      namespace: systemNamespace,
      labels: { 'app.kubernetes.io/part-of': 'tsmesh', 'app.kubernetes.io/component': 'ca' },
    },
    spec: {
      request: encode(request),
      issuerRef: issuer,
      isCA: true,
      duration: requestedDuration(mesh),
      usages: ['cert sign', 'crl sign'],
    },
  };
}

/** A key that somebody spoilt has no request: it is forgotten as one that failed. */
async function requestOf(
  { api }: ControllerContext,
  { requestKeyPem }: CaContent,
): Promise<CertificateRequest | null> {
  if (requestKeyPem === null) return null;
  return api.get('CertificateRequest', systemNamespace, requestName(requestKeyPem));
}

async function rootsOf({ api }: ControllerContext): Promise<string | null> {
  const found = await api.get<ConfigMap>('ConfigMap', systemNamespace, rootsName);
  return found?.data?.['ca.crt'] ?? null;
}

/** One request for each key: after a restart it is found again. */
function requestName(keyPem: string): string {
  return `tsmesh-ca-${keyFingerprint(keyPem).slice(0, 16)}`;
}
