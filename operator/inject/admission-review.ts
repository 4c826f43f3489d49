// AdmissionReview v1 as text: read with a check of all that handlers rely on, written with the patch.
// Pure.

import type { AdmissionDecision, AdmissionRequest } from './admission.ts';

export type ReviewResult = { ok: true; request: AdmissionRequest } | { ok: false; message: string };

const reviewVersion = 'admission.k8s.io/v1';
const operations = ['CREATE', 'UPDATE', 'DELETE', 'CONNECT'];
/** The API server cuts longer ones off. */
const maxWarningLength = 256;

export function parseReview(text: string): ReviewResult {
  let review: unknown;
  try {
    review = JSON.parse(text);
  } catch {
    return bad('the body is not JSON');
  }
  if (!isObject(review) || review.apiVersion !== reviewVersion) {
    return bad(`the body is not an AdmissionReview of ${reviewVersion}`);
  }
  const { request } = review;
  if (!isObject(request)) return bad('request is missing');
  if (typeof request.uid !== 'string' || request.uid === '') return bad('request.uid is missing');
  if (!isGroupVersion(request.kind, 'kind')) return bad('request.kind is malformed');
  if (!operations.includes(request.operation as string))
    return bad('request.operation is malformed');
  for (const field of ['object', 'oldObject']) {
    const value = request[field];
    if (value == null) continue;
    if (!isObject(value) || !isObject(value.metadata)) return bad(`request.${field} is no object`);
  }
  const { object = null, oldObject = null } = request;
  return { ok: true, request: { ...request, object, oldObject } as unknown as AdmissionRequest };
}

export function reviewResponse(uid: string, decision: AdmissionDecision): string {
  const warnings = decision.warnings.map(shorten);
  const response = {
    uid,
    allowed: decision.allowed,
    ...(warnings.length > 0 && { warnings }),
    ...(decision.allowed
      ? patchOf(decision.patch)
      : { status: { code: 403, reason: 'Forbidden', message: decision.message } }),
  };
  return JSON.stringify({ apiVersion: reviewVersion, kind: 'AdmissionReview', response });
}

function patchOf(patch: unknown[]): object {
  if (patch.length === 0) return {};
  const text = Buffer.from(JSON.stringify(patch)).toString('base64');
  return { patchType: 'JSONPatch', patch: text };
}

function shorten(warning: string): string {
  if (warning.length <= maxWarningLength) return warning;
  return `${warning.slice(0, maxWarningLength - 1)}…`;
}

function isGroupVersion(value: unknown, last: string): boolean {
  if (!isObject(value)) return false;
  return ['group', 'version', last].every((field) => typeof value[field] === 'string');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function bad(message: string): ReviewResult {
  return { ok: false, message };
}
