import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { makeTable } from '../../test/support/table.ts'
import { createLogger } from '../account/log.ts'
import { tableEntries } from '../routing-table/entries.ts'
import { type GoodTable, readGood, writeGood } from './good-file.ts'
import { LastKnownGood } from './last-known-good.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'llama-swap-good-'))
})
after(() => rm(folder, { recursive: true, force: true }))

const table = makeTable({
  models: { m: { backends: [{ url: 'http://127.0.0.1:1', keys: ['sk-backend'] }] } },
  policies: { auto: { targets: ['m'] } },
  keys: [{ key: 'sk-client-0123456789', client: 'default/app' }],
})
const GOOD: GoodTable = {
  mode: 'Gateway',
  namespace: 'llama-swap',
  epoch: 3,
  seq: 14,
  newestEpoch: 4,
  confirmedAtMs: 1_790_000_000_000,
  entries: tableEntries(table).map((entry, at) => ({ entry, version: String(at).padStart(32, '0') })),
}
const LATER = { ...GOOD, later: 1 }
const textOf = (good: GoodTable): string => [...writeGood(good)].join('')

function keeperOf(path: string, mode: GoodTable['mode'] = 'Gateway'): { keeper: LastKnownGood; lines: string[] } {
  const lines: string[] = []
  const logger = createLogger({ write: (line) => void lines.push(line), level: 'info', now: () => 0 })
  return { keeper: new LastKnownGood({ path, mode, logger, now: () => 7 }), lines }
}

test('what was written is what is read', () => assert.deepEqual(readGood(textOf(GOOD)), { kind: 'read', good: GOOD, unread: 0 }))

test('a table of no entries is one', () => {
  const read = readGood(textOf({ ...GOOD, entries: [] }))
  assert.ok(read.kind === 'read' && read.good.entries.length === 0)
})

const BAD: Readonly<Record<string, [string, RegExp]>> = {
  'an empty file': ['', /cut short or of another program/],
  'a file of another program': ['{"apiVersion": "v1"}\n', /cut short or of another program/],
  'a file cut at a line': [textOf(GOOD).split('\n').slice(0, 4).join('\n'), /cut short/],
  'a file cut in a line': [textOf(GOOD).slice(0, -30), /cut short/],
  'an edited file': [textOf(GOOD).replace('"Same"', '"All"'), /checksum/],
  'a file with a line less': [textOf(GOOD).split('\n').toSpliced(2, 1).join('\n'), /checksum/],
  'a file of a later format': [textOf(LATER), /header is not read here/],
}
for (const [name, [text, why]] of Object.entries(BAD))
  test(`not used: ${name}`, () => {
    const read = readGood(text)
    assert.ok(read.kind === 'bad')
    assert.match(read.why, why)
  })

test('an entry that this version does not read is left out; the rest is used', () => {
  const strange: GoodTable['entries'] = JSON.parse(
    `[{"entry":{"kind":"quota","key":"q","value":{}},"version":"${'a'.repeat(32)}"},{"entry":{"kind":"model","key":"default/x","value":{}},"version":"${'b'.repeat(32)}"}]`,
  )
  assert.deepEqual(readGood(textOf({ ...GOOD, entries: [...strange, ...GOOD.entries] })), { kind: 'read', good: GOOD, unread: 2 })
})

test('a file is its owner’s only, replaced whole, and written again at most every 5 s; close writes what is due', async () => {
  const path = join(folder, 'kept')
  const { keeper } = keeperOf(path)
  assert.equal(await keeper.load(), undefined)
  keeper.save(() => GOOD)
  await eventually(async () => assert.deepEqual(readGood(await readFile(path, 'utf8')), { kind: 'read', good: GOOD, unread: 0 }))
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  let made = 0
  for (const seq of [15, 16, 17])
    keeper.save(() => {
      made++
      return { ...GOOD, seq }
    })
  assert.equal(made, 0)
  await keeper.close()
  assert.equal(made, 1)
  assert.equal((await keeperOf(path).keeper.load())?.seq, 17)
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.startsWith('kept')),
    ['kept'],
  )
  assert.deepEqual(keeper.state, { path, savedAtMs: 7, problem: undefined, corrupt: 0, failedWrites: 0 })
})

test('one of another mode is set aside and logged', async () => {
  const path = join(folder, 'other-mode')
  await writeFile(path, textOf(GOOD))
  const { keeper, lines } = keeperOf(path, 'Sidecar')
  assert.equal(await keeper.load(), undefined)
  assert.equal(await readFile(`${path}.corrupt`, 'utf8'), textOf(GOOD))
  assert.match(lines.join(''), /set aside.*it is of a proxy in mode Gateway/)
  assert.equal(keeper.state.corrupt, 1)
})

test('a place that cannot be written is told once, and harms nothing', async () => {
  const path = join(folder, 'a-folder')
  await mkdir(join(path, 'inside'), { recursive: true })
  const { keeper, lines } = keeperOf(path)
  keeper.save(() => GOOD)
  await eventually(async () => assert.equal(keeper.state.failedWrites, 1))
  keeper.save(() => GOOD)
  await keeper.close()
  assert.equal(keeper.state.failedWrites, 2)
  assert.equal(lines.filter((line) => line.includes('cannot be written')).length, 1)
})
