import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeTable } from '../../test/support/table.ts'
import { compileTable } from '../routing-table/index.ts'
import { nearestNames } from './nearest.ts'

const URL = 'http://10.0.0.1'
const model = (more: object = {}): { backends: { url: string }[] } => ({ backends: [{ url: URL }], ...more })

const table = compileTable(
  makeTable({
    models: {
      'llama-70b': model(),
      'llama-8b': model(),
      'llama-3b': model(),
      'llama-1b': model(),
      'qwen2.5-coder-32b-instruct': model(),
      secret: model({ namespace: 'team-b' }),
      hidden: model({ visibility: 'Internal' }),
    },
  }),
)

const CASES: Readonly<Record<string, [string, string[]]>> = {
  'a letter too few': ['lama-70b', ['llama-70b']],
  'other capitals': ['Llama-70B', ['llama-70b', 'llama-1b', 'llama-3b']],
  'a part of a long name': ['qwen2.5-coder', ['qwen2.5-coder-32b-instruct']],
  'nothing like it': ['whisper', []],
  "another namespace's model": ['secre', []],
  'an internal model': ['hiden', []],
  'of equally near ones the first three by name': ['llama-xb', ['llama-1b', 'llama-3b', 'llama-8b']],
}

for (const [name, [asked, expected]] of Object.entries(CASES)) {
  test(`nearest names: ${name}`, () => assert.deepEqual(nearestNames(table, asked, 'default'), expected))
}

test('nearest names: a name of a megabyte is cut before it is compared', () => {
  assert.deepEqual(nearestNames(table, 'x'.repeat(1_000_000), 'default'), [])
})
