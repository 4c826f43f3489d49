// Reads what a client got into responses, as strictly as may be, and judges whether two proxies delivered the same. Pure.

export interface Delivered {
  status: number;
  body: string;
  complete: boolean;
}

/** The final responses in `received` to requests with these methods, one after the other. */
export function responsesIn(
  received: string,
  closed: boolean,
  methods: readonly string[],
): Delivered[] {
  const found: Delivered[] = [];
  let rest = received;
  for (const method of methods) {
    const one = nextResponse(rest, closed, method);
    if (one === null) break;
    found.push(one.response);
    rest = one.rest;
    if (!one.response.complete) break;
  }
  return found;
}

function nextResponse(
  text: string,
  closed: boolean,
  method: string,
): { response: Delivered; rest: string } | null {
  const head = /^HTTP\/1\.[01] (\d{3})[^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n/.exec(text);
  if (head === null) return null;
  const rest = text.slice(head[0].length);
  const status = Number(head[1]);
  if (status < 200 && status !== 101) return nextResponse(rest, closed, method);
  const bodiless = method === 'HEAD' || status === 204 || status === 304;
  if (bodiless) return { response: { status, body: '', complete: true }, rest };
  const fields = `\r\n${head[2]}`;
  if (/\r\ntransfer-encoding: *chunked\r\n/i.test(fields)) return chunkedBody(status, rest);
  const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(fields)?.[1];
  if (length === undefined) return { response: { status, body: rest, complete: closed }, rest: '' };
  const body = rest.slice(0, Number(length));
  const complete = body.length === Number(length);
  return { response: { status, body, complete }, rest: rest.slice(body.length) };
}

function chunkedBody(status: number, text: string): { response: Delivered; rest: string } {
  let body = '';
  let rest = text;
  for (;;) {
    const line = /^([0-9a-f]+)(?:;[^\r\n]*)?\r\n/i.exec(rest);
    if (line === null) return { response: { status, body, complete: false }, rest };
    const size = parseInt(line[1]!, 16);
    rest = rest.slice(line[0].length);
    if (size === 0) {
      const end = /^(?:[^\r\n]+\r\n)*\r\n/.exec(rest);
      const complete = end !== null;
      return { response: { status, body, complete }, rest: rest.slice(end?.[0].length ?? 0) };
    }
    if (rest.length < size + 2) {
      return { response: { status, body: body + rest.slice(0, size), complete: false }, rest: '' };
    }
    body += rest.slice(0, size);
    rest = rest.slice(size + 2);
  }
}

/** What became of the odd response: delivered whole, begun and given up, or answered for by the proxy itself. */
export function fateOf([first]: readonly Delivered[]): string {
  if (first === undefined) return 'nothing';
  if (first.status >= 500) return String(first.status);
  const shown = first.body.length > 20 ? `${first.body.length} octets` : JSON.stringify(first.body);
  return `${first.status} ${shown}${first.complete ? '' : ' …'}`;
}

/** Both delivered the odd response whole, and not the same. */
export function deliveredDifferently(a: readonly Delivered[], b: readonly Delivered[]): boolean {
  const [x, y] = [a[0], b[0]];
  if (x === undefined || y === undefined || x.status >= 500 || y.status >= 500) return false;
  if (!x.complete || !y.complete) return false;
  const second = [a[1], b[1]].map((one) => one?.body ?? null);
  // Whose connection ended behind the first has no second.
  const seconds = second.every((body) => body !== null) && second[0] !== second[1];
  return x.status !== y.status || x.body !== y.body || seconds;
}
