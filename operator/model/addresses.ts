// IP addresses as keys: one text per address, so that what the kernel says, what Kubernetes says and
// what a certificate says can be compared.

/** RFC 5952 text for IPv6; an IPv4-mapped address becomes the IPv4 one. Other text comes back as it is. */
export function canonicalAddress(text: string): string {
  if (!text.includes(':')) return text;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text);
  if (mapped !== null) return mapped[1]!;
  const zoneless = text.split('%')[0]!;
  const url = URL.parse(`http://[${zoneless}]/`);
  return url === null ? text : url.hostname.slice(1, -1);
}

/** Of `10.96.0.7:80` or `[fd00::7]:80`; null where the text is neither. */
export function parseDestinationName(name: string): { address: string; port: number } | null {
  const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|(\d{1,3}(?:\.\d{1,3}){3})):(\d{1,5})$/.exec(name);
  if (match === null) return null;
  const port = Number(match[3]);
  if (port < 1 || port > 65535) return null;
  if (match[2] !== undefined) return isIpv4(match[2]) ? { address: match[2], port } : null;
  return URL.canParse(`http://[${match[1]}]/`) ? { address: match[1]!, port } : null;
}

function isIpv4(text: string): boolean {
  return text.split('.').every((part) => Number(part) <= 255);
}
