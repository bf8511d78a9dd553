/**
 * Reads the text of this machine's apt sources and picks the Debian mirror it already uses. In: file names and texts. Out: address and
 * keyring. Both formats are read: one-line entries (`*.list`) and deb822 stanzas (`*.sources`).
 */

export interface SourceFile {
  name: string
  text: string
}

export interface Mirror {
  uri: string
  /** Path of the keyring named by the entry; absent = apt's trusted keys. */
  signedBy?: string
}

interface Entry extends Mirror {
  types: readonly string[]
  suites: readonly string[]
  components: readonly string[]
}

/** The first binary entry of Debian's main archive, or undefined. Security archives and other vendors hold no sid. */
export function debianMirror(files: readonly SourceFile[]): Mirror | undefined {
  const entry = files.flatMap(entriesOf).find(isMainArchive)
  if (entry === undefined) return undefined
  return entry.signedBy === undefined ? { uri: entry.uri } : { uri: entry.uri, signedBy: entry.signedBy }
}

function entriesOf(file: SourceFile): Entry[] {
  if (file.name.endsWith('.sources')) return file.text.split(/\n[ \t]*\n/).flatMap(stanza)
  return file.name.endsWith('.list') ? file.text.split('\n').flatMap(oneLine) : []
}

function isMainArchive(entry: Entry): boolean {
  const path = entry.uri.replace(/\/+$/, '')
  return entry.types.includes('deb') && entry.components.includes('main') && path.endsWith('debian')
}

/** `deb [arch=amd64 signed-by=/path] URI suite component…` */
function oneLine(line: string): Entry[] {
  const found = /^\s*(deb|deb-src)\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line)
  if (found === null) return []
  const [, type = '', options = '', uri = '', suite = '', components = ''] = found
  return [{ types: [type], uri, suites: [suite], components: words(components), ...keyring(/signed-by=(\S+)/.exec(options)?.[1]) }]
}

function stanza(text: string): Entry[] {
  const fields = fieldsOf(text)
  if (fields.get('enabled')?.toLowerCase() === 'no') return []
  const [types, suites, components] = ['types', 'suites', 'components'].map((name) => words(fields.get(name)))
  const entry = { types: types ?? [], suites: suites ?? [], components: components ?? [], ...keyring(fields.get('signed-by')) }
  return words(fields.get('uris')).map((uri) => ({ ...entry, uri }))
}

/** Comment lines inside a stanza often hold addresses that are gone: they are dropped first. */
function fieldsOf(text: string): Map<string, string> {
  const lines = text.split('\n').filter((line) => !line.startsWith('#'))
  const fields = lines
    .join('\n')
    .replace(/\n[ \t]+/g, ' ')
    .split('\n')
  return new Map(
    fields.flatMap((line): [string, string][] => {
      const colon = line.indexOf(':')
      return colon < 1 ? [] : [[line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]]
    }),
  )
}

/** Keys may also stand inline in a stanza; only a path can be handed on. */
function keyring(value: string | undefined): { signedBy?: string } {
  const path = value?.split(',')[0]
  return path?.startsWith('/') ? { signedBy: path } : {}
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter((word) => word !== '')
}
