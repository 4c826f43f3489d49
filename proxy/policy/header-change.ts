// Applies a route's header changes to fields: set, then add, then remove (as Gateway API orders them by
// meaning, no field may stand in two of them). Pure: gives a new list.

import type { HeaderChange } from '../api/resources.ts';
import type { Fields } from '../codec/session.ts';

export function changeFields(fields: Fields, change: HeaderChange): Fields {
  const gone = new Set(change.remove);
  for (const { name } of change.set) gone.add(name);
  const result: Fields = [];
  for (let i = 0; i < fields.length; i += 2)
    if (!gone.has(fields[i]!)) result.push(fields[i]!, fields[i + 1]!);
  for (const { name, value } of change.set) result.push(name, value);
  for (const { name, value } of change.add) result.push(name, value);
  return result;
}
