import { type FileLoad, holdObjects } from '../operator/watch/held-objects.ts'
import { type LoadProblem, loadDocuments } from '../operator/watch/yaml.ts'
import { listYamlFiles, readYamlFile, type YamlFile } from '../operator/watch/yaml-files.ts'

/**
 * `llama-swap check FILE…`: says what is wrong in files of resources, or in folders of them, as the cluster would, without one.
 * A line for each mistake, `file:line: path: message`; if there is none, one line that counts what was read.
 * Answers the exit code: 0 nothing wrong, 1 something is wrong in a file, 2 a file cannot be read. What files say of each other
 * (a target without its model) is not judged: the other object may be elsewhere.
 */
export async function check(files: readonly string[], out: (line: string) => void): Promise<0 | 1 | 2> {
  const listed = await Promise.all(files.map(list))
  const unlisted = listed.flatMap((result) => ('error' in result ? [result.error] : []))
  const entries = new Map(listed.flatMap((result) => ('error' in result ? [] : result.files.map((file) => [file.path, file] as const))))
  const loads = await Promise.all([...entries.values()].map(load))
  const unread = loads.flatMap((result) => ('error' in result ? [result.error] : []))
  const read = loads.filter((result) => 'documents' in result)
  const { objects, problems } = holdObjects(new Map(), read)
  for (const line of [...unlisted, ...unread, ...problems.toSorted(byPlace).map(lineOf)]) out(line)
  if (unlisted.length + unread.length > 0) return 2
  if (problems.length > 0) return 1
  out(
    summary(
      [...objects.values()].map(({ document }) => document.kind),
      read.length,
    ),
  )
  return 0
}

type Failed = { readonly error: string }

async function list(path: string): Promise<{ readonly files: readonly YamlFile[] } | Failed> {
  try {
    const { files } = await listYamlFiles(path)
    return files.length > 0 ? { files } : { error: `${path}: there is no .yaml or .yml file` }
  } catch (error) {
    return { error: `${path}: ${error instanceof Error ? error.message : String(error)}` }
  }
}

async function load(entry: YamlFile): Promise<FileLoad | Failed> {
  const read = await readYamlFile(entry)
  return 'text' in read ? { file: entry.path, ...loadDocuments(entry.path, read.text) } : { error: `${entry.path}: ${read.error}` }
}

const byPlace = (a: LoadProblem, b: LoadProblem): number => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1)

const lineOf = ({ file, line, path, message }: LoadProblem): string =>
  [`${file}:${line}`, ...(path === '' ? [] : [path]), message].join(': ')

const PLURALS: Readonly<Record<string, string>> = { RoutingPolicy: 'RoutingPolicies' }

function summary(kinds: readonly string[], files: number): string {
  const counts = [...new Set(kinds)].sort().map((kind) => {
    const count = kinds.filter((one) => one === kind).length
    return `${count} ${count === 1 ? kind : (PLURALS[kind] ?? `${kind}s`)}`
  })
  return `nothing wrong in ${files} ${files === 1 ? 'file' : 'files'}: ${counts.length === 0 ? 'no objects' : counts.join(', ')}`
}
