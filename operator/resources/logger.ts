// How the operator's parts log: one line of JSON each. An interface only; app.ts gives winston's.

export type LogFields = Record<string, unknown>;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** What an unknown thrown value says; never empty. */
export function errorText(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'message' in error) {
    const message = String(error.message);
    if (message !== '') return message;
    if ('code' in error) return String(error.code);
  }
  return String(error);
}
