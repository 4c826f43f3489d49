// What AuthorizationPolicies say at the called pod, asked of the sidecar's own evaluator. Pure.

import type { Authorization } from '../../../proxy/api/authorization.ts';
import { refusalFrom } from '../../../proxy/inbound/authorize.ts';
import { callerOf } from '../../../proxy/policy/authorization/caller.ts';
import { explainDecision } from '../../../proxy/policy/authorization/explain.ts';
import type { PreparedWorkload } from '../../../proxy/state/prepared.ts';
import type { PlaceAnswer } from './answer.ts';
import type { Arrival } from './arrival.ts';
import { refused } from './refusal.ts';

export interface AtCallee {
  place: PlaceAnswer;
  workload: PreparedWorkload;
  arrival: Arrival;
}

export function authorize({ place, workload, arrival }: AtCallee): PlaceAnswer {
  const { request, address, port } = arrival;
  const authorization = workload.authorization ?? undefined;
  const caller = callerOf(arrival.peerIdentity ?? '', arrival.peerAddress);
  const target = { address, port };
  const { readings, policies } = explainDecision(authorization, caller, target, request);
  const decision = workload.authorizer.decide(caller, target, request);
  const judged: PlaceAnswer = {
    ...place,
    readsAddress: readsAddress(authorization),
    authorization: { ...decision, policies, readings },
  };
  if (decision.allowed) return judged;
  return refused(judged, refusalFrom(decision, caller, request), request === null);
}

function readsAddress(authorization: Authorization | undefined): boolean {
  return (authorization?.policies ?? []).some(({ rules }) =>
    rules.some(
      ({ from, when }) =>
        from.some(({ ipBlocks, notIpBlocks }) => (ipBlocks ?? notIpBlocks) !== undefined) ||
        when.some(({ key }) => key === 'source.ip'),
    ),
  );
}
