/** The cases of good and bad objects: files of `accept` and `reject`, one object each. Read by all who judge objects. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseYaml } from '../../operator/watch/yaml-text.ts'

export interface Case {
  readonly path: string
  readonly name: string
  readonly text: string
  /** From line 1 of a file in `reject`: "# expect: …". */
  readonly expected: string | undefined
  /** Where the API server has other words, from line 2: "# expect-server: …". */
  readonly expectedOfServer: string | undefined
}

export function casesIn(folder: 'accept' | 'reject'): Case[] {
  return readdirSync(join(import.meta.dirname, folder)).map((file) => {
    const path = join(import.meta.dirname, folder, file)
    const text = readFileSync(path, 'utf8')
    const [, expected, ofServer] = /^# expect: (.+)\n(?:# expect-server: (.+)\n)?/.exec(text) ?? []
    return { path, name: basename(file, '.yaml'), text, expected, expectedOfServer: ofServer ?? expected }
  })
}

export function documentOf({ text }: Case): unknown {
  const { documents, problems } = parseYaml(text)
  assert.deepEqual(problems, [])
  const [document, ...others] = documents
  assert.equal(others.length, 0, 'one object a file')
  assert.deepEqual(document?.problems, [])
  return document?.value
}
