// IP addresses and CIDR blocks as numbers (RFC 4291 §2.2, RFC 4632): parse, and whether a block holds an address.
// Text in, plain numbers out; no sockets.

/** IPv4 is one word, IPv6 four, each of 32 bits and signed as JavaScript's bit operations leave them. */
export interface IpAddress {
  readonly words: readonly number[];
}

export interface IpBlock {
  readonly words: readonly number[];
  readonly masks: readonly number[];
}

/** Null where the text is no address. A zone (`%eth0`) is ignored; `::ffff:10.0.0.1` is the IPv4 address. */
export function parseIpAddress(text: string): IpAddress | null {
  const words = wordsOf(text);
  return words === null ? null : { words: mappedIpv4(words) ?? words };
}

/** An address alone is a block of one. Bits behind the prefix length are ignored. Null where it is neither. */
export function parseIpBlock(text: string): IpBlock | null {
  const slash = text.indexOf('/');
  const words = wordsOf(slash < 0 ? text : text.slice(0, slash));
  if (words === null) return null;
  const most = words.length * 32;
  const length = slash < 0 ? most : prefixLength(text.slice(slash + 1), most);
  if (length === null) return null;
  const ipv4 = length >= 96 ? mappedIpv4(words) : null;
  return ipv4 === null ? blockOf(words, length) : blockOf(ipv4, length - 96);
}

/** Families differ: no IPv4 block holds an IPv6 address, nor the other way round. */
export function blockHolds(block: IpBlock, address: IpAddress): boolean {
  const { words, masks } = block;
  if (words.length !== address.words.length) return false;
  for (let i = 0; i < words.length; i++)
    if ((address.words[i]! & masks[i]!) !== words[i]) return false;
  return true;
}

function blockOf(words: readonly number[], length: number): IpBlock {
  const masks = words.map((_, i) => maskOf(Math.min(32, Math.max(0, length - 32 * i))));
  return { words: words.map((word, i) => word & masks[i]!), masks };
}

function maskOf(bits: number): number {
  // A shift by 32 is a shift by 0.
  return bits === 0 ? 0 : (-1 << (32 - bits)) | 0;
}

function prefixLength(text: string, most: number): number | null {
  if (!/^(0|[1-9][0-9]{0,2})$/.test(text)) return null;
  const length = Number(text);
  return length <= most ? length : null;
}

function wordsOf(text: string): number[] | null {
  const ipv4 = ipv4Word(text);
  if (ipv4 !== null) return [ipv4];
  const zone = text.indexOf('%');
  return ipv6Words(zone < 0 ? text : text.slice(0, zone));
}

/** Leading zeros are refused: half of the world reads them as octal. */
const octet = '(0|[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])';
const ipv4Form = new RegExp(`^${octet}\\.${octet}\\.${octet}\\.${octet}$`);

function ipv4Word(text: string): number | null {
  const match = ipv4Form.exec(text);
  if (match === null) return null;
  const [, a, b, c, d] = match.map(Number);
  return (a! << 24) | (b! << 16) | (c! << 8) | d!;
}

function ipv6Words(text: string): number[] | null {
  if (text.length > 45) return null;
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const head = groupsOf(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? groupsOf(halves[1]!, true) : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  // `::` stands for one group of zeros at least.
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  const groups = [...head, ...Array<number>(missing).fill(0), ...tail];
  return [0, 2, 4, 6].map((i) => (groups[i]! << 16) | groups[i + 1]!);
}

function groupsOf(text: string, last: boolean): number[] | null {
  if (text === '') return [];
  const parts = text.split(':');
  const groups: number[] = [];
  for (const [i, part] of parts.entries()) {
    const ipv4 = last && i === parts.length - 1 ? ipv4Word(part) : null;
    if (ipv4 !== null) groups.push(ipv4 >>> 16, ipv4 & 0xffff);
    else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(parseInt(part, 16));
    else return null;
  }
  return groups;
}

/** RFC 4291 §2.5.5.2. */
function mappedIpv4(words: readonly number[]): number[] | null {
  return words.length === 4 && words[0] === 0 && words[1] === 0 && words[2] === 0xffff
    ? [words[3]!]
    : null;
}
