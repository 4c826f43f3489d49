// What the command line touches of the process that runs it, so that tests give their own. Types only.

import type { Clock } from '../resources/clock.ts';

export interface World {
  /** Answers; whole lines, without the last line feed. */
  out(text: string): void;
  /** Errors and hints. */
  err(text: string): void;
  /** All of standard input. */
  readStdin(): Promise<string>;
  /** Whether answers may be coloured. */
  readonly colour: boolean;
  /** Where answers go to a screen: its size at this moment. */
  readonly terminal: { rows(): number; columns(): number } | null;
  readonly clock: Clock;
  readonly random: () => number;
  /** Shows an address in the user's browser, where there is one. */
  showPage(url: string): void;
  /** Name that the user called, `tsmesh` or `kubectl tsmesh`. */
  readonly program: string;
}
