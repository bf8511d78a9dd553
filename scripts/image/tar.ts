/**
 * Writes a tar archive whose bytes depend on nothing but what is in it: sorted by path, all of user and group 0 and of the time 0.
 * PURE. Format: ustar (POSIX.1-1988), which every reader of images takes.
 */

export type Entry = { readonly path: string } & (
  | { readonly kind: 'file'; readonly bytes: Uint8Array; readonly mode?: number }
  | { readonly kind: 'folder'; readonly mode?: number }
  | { readonly kind: 'link'; readonly target: string }
)

const BLOCK = 512
const KINDS = { file: { flag: '0', mode: 0o644 }, folder: { flag: '5', mode: 0o755 }, link: { flag: '2', mode: 0o777 } } as const

/** `path` of entries: relative, without a slash at the end. Folders that are missing are added. Throws where a name does not fit. */
export function tarOf(entries: readonly Entry[]): Uint8Array {
  const sorted = withFolders(entries).toSorted((a, b) => (a.path < b.path ? -1 : 1))
  const parts = sorted.flatMap((entry) => (entry.kind === 'file' ? [headOf(entry), padded(entry.bytes)] : [headOf(entry)]))
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)])
}

function withFolders(entries: readonly Entry[]): readonly Entry[] {
  const all = new Map<string, Entry>(entries.map((entry) => [entry.path, entry]))
  if (all.size !== entries.length) throw new Error('two entries of an archive have the same path')
  for (const { path } of entries) {
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const folder = path.slice(0, end)
      if (!all.has(folder)) all.set(folder, { path: folder, kind: 'folder' })
    }
  }
  return [...all.values()]
}

function headOf(entry: Entry): Uint8Array {
  const { flag, mode } = KINDS[entry.kind]
  const head = Buffer.alloc(BLOCK)
  const { name, prefix } = split(entry.kind === 'folder' ? `${entry.path}/` : entry.path)
  text(head, 0, 100, name)
  number(head, 100, 8, entry.kind === 'link' ? mode : (entry.mode ?? mode))
  number(head, 108, 8, 0)
  number(head, 116, 8, 0)
  number(head, 124, 12, entry.kind === 'file' ? entry.bytes.length : 0)
  number(head, 136, 12, 0)
  text(head, 156, 1, flag)
  if (entry.kind === 'link') text(head, 157, 100, entry.target)
  head.write('ustar\0' + '00', 257, 'latin1')
  text(head, 345, 155, prefix)
  head.fill(' ', 148, 156)
  number(
    head,
    148,
    7,
    head.reduce((sum, byte) => sum + byte, 0),
  )
  return head
}

function split(path: string): { name: string; prefix: string } {
  if (Buffer.byteLength(path) <= 100) return { name: path, prefix: '' }
  const cut = path.indexOf('/', path.length - 101)
  return { name: path.slice(cut + 1), prefix: path.slice(0, Math.max(cut, 0)) }
}

function text(head: Buffer, at: number, size: number, value: string): void {
  if (Buffer.byteLength(value) > size) throw new Error(`"${value}" is too long for an archive`)
  head.write(value, at)
}

/** Octal, with a zero byte at its end. */
function number(head: Buffer, at: number, size: number, value: number): void {
  text(head, at, size - 1, value.toString(8).padStart(size - 1, '0'))
}

function padded(bytes: Uint8Array): Uint8Array {
  const rest = bytes.length % BLOCK
  return rest === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(BLOCK - rest)])
}
