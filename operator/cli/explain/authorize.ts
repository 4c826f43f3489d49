// What AuthorizationPolicies say at the called pod, asked of the sidecar's own evaluator. Pure.

import type { PreparedWorkload } from '../../../proxy/state/prepared.ts';
import type { PodEntry, View } from '../../model/view.ts';
import type { PlaceAnswer } from './answer.ts';
import type { Arrival } from './callee.ts';

export interface AtCallee {
  place: PlaceAnswer;
  workload: PreparedWorkload;
  arrival: Arrival;
}

export function authorize(_view: View, _pod: PodEntry, { place }: AtCallee): PlaceAnswer {
  return place;
}
