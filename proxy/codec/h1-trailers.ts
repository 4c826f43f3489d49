// Parses a trailer section (RFC 9112 §7.1.2) and refuses or drops what may not be one (RFC 9110 §6.5.1).
import { H1_FAULTS } from './h1-faults.ts';
import type { H1Fault } from './h1-faults.ts';
import type { H1FieldSection } from './h1-fields.ts';

/** The result is in `section.fields`. Hop-by-hop fields are dropped; those that steer framing or routing are refused. */
export function parseTrailers(section: H1FieldSection, text: string): H1Fault | null {
  const fault = section.parse(text, 0);
  if (fault !== null) return fault;
  const steers =
    section.contentLength >= 0 || section.transferCoding !== 'none' || section.host !== null;
  return steers ? H1_FAULTS.trailer : null;
}
