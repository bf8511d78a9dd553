/** Every file in examples/ is valid, makes a table without a problem, and its `auto` (where it has one) sends a request somewhere. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { check } from '../cli/check.ts'
import { STANDALONE_SETTINGS } from '../operator/resources/snapshot.ts'
import { translate } from '../operator/translate/translate.ts'
import { readFolder } from '../operator/watch/folder.ts'
import { decide } from '../proxy/decide/decide.ts'
import { Live } from '../proxy/live/live.ts'
import { compileTable, parseTable } from '../proxy/routing-table/index.ts'

const FOLDER = join(import.meta.dirname, '..', 'examples')
const KEYS = 'a-key-of-more-than-24-characters'
const ENV = { OPENAI_API_KEY: 'sk-example', TEAM_A_KEY: `${KEYS}-1`, TEAM_A_NEXT_KEY: `${KEYS}-2`, TEAM_B_KEY: `${KEYS}-3` }

for (const file of readdirSync(FOLDER)) {
  const path = join(FOLDER, file)

  test(`examples/${file} passes check`, async () => {
    const lines: string[] = []
    assert.equal(await check([path], (line) => lines.push(line)), 0, lines.join('\n'))
  })

  test(`examples/${file} makes a table without a problem, and its models can be reached`, async () => {
    const { resources, problems: mistakes } = await readFolder({ path, env: ENV, settings: STANDALONE_SETTINGS })
    const { table, problems } = translate(resources)
    assert.deepEqual([...mistakes, ...problems], [])
    const parsed = parseTable(table)
    assert.ok('table' in parsed, JSON.stringify(parsed))
    const compiled = compileTable(parsed.table)
    const live = new Live()
    live.apply(compiled)
    const [model] = compiled.models.values()
    const client = { name: undefined, namespace: model?.namespace ?? '' }
    const facts = {
      route: 'chat',
      path: '/v1/chat/completions',
      asked: 'auto',
      stream: false,
      needs: ['chat'],
      promptTokens: 10,
      maxOutputTokens: undefined,
      headers: {},
      client,
    } as const
    const decision = decide({ facts, table: compiled, live, nowMs: 0, dice: 0.5, past: [], turn: false, waitingFor: () => 0 })
    assert.equal(decision.kind, 'send', JSON.stringify(decision))
  })
}

test('the README shows the flat file as it stands in examples', () => {
  const example = readFileSync(join(FOLDER, 'two-gpu-servers.yaml'), 'utf8').split('\n').slice(1).join('\n')
  assert.ok(readFileSync(join(FOLDER, '..', 'README.md'), 'utf8').includes(example.trim()))
})
