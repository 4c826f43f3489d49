// Ids for requests that have none: unique in the mesh by a random prefix per process and a counter.

export type NextRequestId = () => string;

/** `prefix` is random text of the process. */
export function createRequestIds(prefix: string): NextRequestId {
  let count = 0;
  return () => {
    count += 1;
    return `${prefix}-${count.toString(36)}`;
  };
}
