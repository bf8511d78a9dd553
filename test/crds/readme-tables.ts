import type { Bound, Rule } from './schema-facts.ts'

/** The tables under "## KIND: bounds" and "## KIND: rules", one entry for each field that a row names. */
export function readTables(text: string, kind: string): { bounds: Bound[]; rules: Rule[] } {
  return {
    bounds: rowsUnder(text, `${kind}: bounds`).flatMap(([bound = '', fields = '']) =>
      codesIn(fields).map((field) => ({ field, bound: codeOf(bound) })),
    ),
    rules: rowsUnder(text, `${kind}: rules`).flatMap(([message = '', rule = '', fields = '']) =>
      codesIn(fields).map((field) => ({ field, rule: codeOf(rule), message })),
    ),
  }
}

/** Cells of the rows below the head of the table. A bar within a cell is written `\|`. */
function rowsUnder(text: string, title: string): string[][] {
  const section = text.split(/^## /m).find((one) => one.startsWith(`${title}\n`)) ?? ''
  const lines = section.split('\n').filter((line) => line.startsWith('|'))
  return lines.slice(2).map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('\\|', '|')),
  )
}

const codeOf = (cell: string): string => cell.replaceAll(/^`|`$/g, '')

const codesIn = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)
