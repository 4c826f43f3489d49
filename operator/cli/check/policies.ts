// Whether the mesh's policies do what they say, by what the operator wrote in their status. Pure.

import { policyProblems } from '../../telemetry/policy-problems.ts';
import type { Facts } from './facts.ts';
import { mostNames, ok, unread, type Finding } from './finding.ts';

export function policies({ policies: facts }: Facts): Finding[] {
  const check = 'policies';
  const found: Finding[] = [];
  let count = 0;
  for (const [kind, fact] of Object.entries(facts)) {
    if ('unread' in fact) found.push(unread(check, kind, fact.unread));
    if (!('value' in fact)) continue;
    count += fact.value.length;
    const problems = policyProblems({ [kind]: fact.value });
    found.push(
      ...problems.slice(0, mostNames).map(({ policy, reason, message }) => ({
        check,
        level: 'warning' as const,
        text: `${kind} ${policy}: ${reason}: ${message}`,
        remedy: remedyOf(kind, policy),
      })),
    );
    const more = problems.length - mostNames;
    if (more > 0)
      found.push({
        check,
        level: 'warning',
        text: `${more} more of kind ${kind}`,
        remedy: `kubectl get ${kind.toLowerCase()} -A`,
      });
  }
  if (found.length > 0) return found;
  return [ok(check, count === 0 ? 'there are none' : `${count} in force as written`)];
}

function remedyOf(kind: string, policy: string): string {
  const [namespace = '', name = ''] = policy.split('/');
  return `kubectl get ${kind.toLowerCase()} ${name} -n ${namespace} -o yaml`;
}
