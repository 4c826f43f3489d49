// Writes tar files (POSIX ustar) that depend on nothing but their entries: no times, no host users,
// sorted by path. It does not read tar files.

export interface TarEntry {
  /** Relative, without a leading slash, such as `usr/bin/node`. */
  readonly path: string;
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
  /** A file's content, a symbolic link's target, or a directory. */
  readonly content: Buffer | { readonly link: string } | 'directory';
}

const BLOCK = 512;

/** One tar file; parent directories that are not named are added (root, 0755). */
export function tarFile(entries: readonly TarEntry[]): Buffer {
  const byPath = new Map<string, TarEntry>();
  for (const entry of entries) {
    for (const parent of parents(entry.path)) {
      if (!byPath.has(parent)) {
        byPath.set(parent, { path: parent, mode: 0o755, content: 'directory' });
      }
    }
    byPath.set(entry.path, entry);
  }
  const sorted = [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  const parts = sorted.flatMap(entryBlocks);
  parts.push(Buffer.alloc(2 * BLOCK));
  return Buffer.concat(parts);
}

function parents(path: string): string[] {
  const names = path.split('/').slice(0, -1);
  return names.map((_, index) => names.slice(0, index + 1).join('/'));
}

function entryBlocks(entry: TarEntry): Buffer[] {
  if (!Buffer.isBuffer(entry.content)) return [header(entry, 0)];
  const size = entry.content.length;
  const padding = (BLOCK - (size % BLOCK)) % BLOCK;
  return [header(entry, size), entry.content, Buffer.alloc(padding)];
}

/** The ustar header: fixed fields, numbers in octal, and a checksum over the block itself. */
function header(entry: TarEntry, size: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  const { content } = entry;
  const directory = content === 'directory';
  const { name, prefix } = splitName(directory ? `${entry.path}/` : entry.path);
  block.write(name, 0, 'utf8');
  octal(block, 100, 8, entry.mode);
  octal(block, 108, 8, entry.uid ?? 0);
  octal(block, 116, 8, entry.gid ?? 0);
  octal(block, 124, 12, size);
  octal(block, 136, 12, 0);
  block.fill(' ', 148, 156);
  block.write(directory ? '5' : Buffer.isBuffer(content) ? '0' : '2', 156);
  if (typeof content === 'object' && 'link' in content) block.write(content.link, 157, 100, 'utf8');
  block.write('ustar\u000000', 257, 'latin1');
  block.write(prefix, 345, 'utf8');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, 148, 'latin1');
  return block;
}

function octal(block: Buffer, offset: number, length: number, value: number): void {
  block.write(value.toString(8).padStart(length - 1, '0'), offset, 'latin1');
}

/** ustar keeps 100 bytes of name after at most 155 bytes of directory. */
function splitName(path: string): { name: string; prefix: string } {
  if (Buffer.byteLength(path) <= 100) return { name: path, prefix: '' };
  for (let cut = path.indexOf('/'); cut !== -1; cut = path.indexOf('/', cut + 1)) {
    const prefix = path.slice(0, cut);
    const name = path.slice(cut + 1);
    if (Buffer.byteLength(name) <= 100 && Buffer.byteLength(prefix) <= 155) return { name, prefix };
  }
  throw new Error(`tar: the path is too long: ${path}`);
}
