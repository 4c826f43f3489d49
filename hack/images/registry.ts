// Pushes images to a registry by the OCI distribution API (v2), so that no Docker is needed.
// Credentials come from ~/.docker/config.json, as `docker login` writes them.
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { configFile, sha256, type Image } from './archive.ts';

const mediaTypes = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
} as const;

interface Blob {
  readonly mediaType: string;
  readonly content: Buffer;
  readonly digest: string;
}

interface Repository {
  /** `https://host[:port]/v2/prefix/name` */
  readonly url: string;
  readonly authorization: string | undefined;
}

/** Pushes an image to `REGISTRY[/PREFIX]`; answers with the reference that a cluster can pull. */
export async function pushImage(image: Image, target: string): Promise<string> {
  const [name, tag] = image.reference.split('/').at(-1)?.split(':') ?? [];
  const [host, ...prefix] = target.replace(/\/+$/, '').split('/');
  if (host === undefined || name === undefined || tag === undefined) {
    throw new Error(
      `${image.reference} cannot be pushed to ${target}: HOST[:PORT][/PREFIX] is needed`,
    );
  }
  const path = [...prefix, name].join('/');
  const repository = await authenticate(host, path);
  const config = blob(mediaTypes.config, configFile(image));
  const layers: Blob[] = [];
  for (const each of image.layers) {
    // Level 6 of zlib without a file name or time: the same bytes every time.
    const compressed = blob(mediaTypes.layer, gzipSync(each.tar));
    await pushBlob(repository, compressed);
    layers.push(compressed);
  }
  await pushBlob(repository, config);
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: descriptor(config),
    layers: layers.map(descriptor),
  };
  await request(repository, 'PUT', `${repository.url}/manifests/${tag}`, {
    body: Buffer.from(JSON.stringify(manifest)),
    type: mediaTypes.manifest,
  });
  return `${host}/${path}:${tag}`;
}

function blob(mediaType: string, content: Buffer): Blob {
  return { mediaType, content, digest: `sha256:${sha256(content)}` };
}

function descriptor({ mediaType, content, digest }: Blob): object {
  return { mediaType, size: content.length, digest };
}

async function pushBlob(repository: Repository, { content, digest }: Blob): Promise<void> {
  const there = await fetch(`${repository.url}/blobs/${digest}`, {
    method: 'HEAD',
    headers: headers(repository),
  });
  if (there.ok) return;
  const started = await request(repository, 'POST', `${repository.url}/blobs/uploads/`, {});
  const location = started.headers.get('location');
  if (location === null)
    throw new Error(`${repository.url}: the registry names no upload location`);
  const url = new URL(location, repository.url);
  url.searchParams.set('digest', digest);
  const upload = { body: content, type: 'application/octet-stream' };
  await request(repository, 'PUT', url.href, upload);
}

async function request(
  repository: Repository,
  method: string,
  url: string,
  content: { readonly body?: Buffer; readonly type?: string },
): Promise<Response> {
  const { body, type } = content;
  const response = await fetch(url, {
    method,
    headers: { ...headers(repository), ...(type === undefined ? {} : { 'content-type': type }) },
    ...(body === undefined ? {} : { body: new Uint8Array(body) }),
  });
  if (response.ok) return response;
  const words = (await response.text()).slice(0, 500);
  throw new Error(`${method} ${url}: ${response.status} ${words}`);
}

function headers({ authorization }: Repository): Record<string, string> {
  return authorization === undefined ? {} : { authorization };
}

/** Asks the registry how it wants to be spoken to: open, Basic, or by a token of its token service. */
async function authenticate(host: string, path: string): Promise<Repository> {
  const local = /^(localhost|127\.0\.0\.1|\[::1\])(:|$)/.test(host);
  const base = `${local ? 'http' : 'https'}://${host === 'docker.io' ? 'registry-1.docker.io' : host}`;
  const url = `${base}/v2/${path}`;
  const asked = await fetch(`${base}/v2/`);
  if (asked.ok) return { url, authorization: undefined };
  const challenge = asked.headers.get('www-authenticate') ?? '';
  const basic = credentials(host);
  if (/^basic/i.test(challenge)) return { url, authorization: basic };
  const field = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(challenge)?.[1];
  const realm = field('realm');
  if (realm === undefined)
    throw new Error(`${base}/v2/: ${asked.status}, and no way to log in named`);
  const token = new URL(realm);
  token.searchParams.set('service', field('service') ?? '');
  token.searchParams.set('scope', `repository:${path}:pull,push`);
  const login = basic === undefined ? {} : { headers: { authorization: basic } };
  const answer = await fetch(token, login);
  if (!answer.ok)
    throw new Error(`${token.origin}: ${answer.status}; the fix: docker login ${host}`);
  const body = (await answer.json()) as { token?: string; access_token?: string };
  return { url, authorization: `Bearer ${body.token ?? body.access_token ?? ''}` };
}

function credentials(host: string): string | undefined {
  try {
    const file = readFileSync(join(homedir(), '.docker/config.json'), 'utf8');
    const { auths } = JSON.parse(file) as { auths?: Record<string, { auth?: string }> };
    const key = host === 'docker.io' ? 'https://index.docker.io/v1/' : host;
    const auth = auths?.[key]?.auth;
    return auth === undefined ? undefined : `Basic ${auth}`;
  } catch {
    return undefined;
  }
}
