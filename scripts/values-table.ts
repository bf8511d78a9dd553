/** The values of a chart as a table in Markdown. In: the text of values.yaml. Out: a row for each value below a comment "# --". PURE. */
import { load } from 'js-yaml'

interface Row {
  readonly path: readonly string[]
  readonly text: string
}

const COMMENT = /^ *# (?:-- )?(.*)$/
const KEY = /^( *)([A-Za-z][A-Za-z0-9]*):/

export function valuesTable(yaml: string): string {
  const values = load(yaml)
  const rows = rowsOf(yaml.split('\n')).map(({ path, text }) => `| \`${path.join('.')}\` | \`${defaultOf(values, path)}\` | ${text} |`)
  return ['| Value | Default | Meaning |', '|---|---|---|', ...rows].join('\n')
}

/** A comment that begins with "# --" goes on to the next key, which it is about. */
function rowsOf(lines: readonly string[]): readonly Row[] {
  const rows: Row[] = []
  const path: string[] = []
  let said: string[] | undefined
  for (const line of lines) {
    const [, indent, name] = KEY.exec(line) ?? []
    if (/^ *# -- /.test(line)) said = []
    if (line.trim() === '') said = undefined
    if (said !== undefined && COMMENT.test(line)) said.push(COMMENT.exec(line)?.[1] ?? '')
    if (indent === undefined || name === undefined) continue
    path.splice(indent.length / 2, path.length, name)
    if (said !== undefined) rows.push({ path: [...path], text: said.join(' ').replaceAll('|', '\\|') })
    said = undefined
  }
  return rows
}

function defaultOf(values: unknown, path: readonly string[]): string {
  const found = path.reduce<unknown>((at, name) => (isRecord(at) ? at[name] : undefined), values)
  if (found === undefined) throw new Error(`values.yaml has no ${path.join('.')}`)
  return JSON.stringify(found)
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null
