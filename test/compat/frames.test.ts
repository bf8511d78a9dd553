/**
 * Every frame that a released version has written is read by this one. A file never changes once it is here; a new field gets a new file.
 * `frames/vN/operator-*.json` go to proxies, `proxy-*.json` to operators.
 */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { parseEntry, TableHash, tableEntries, tableOf } from '../../proxy/routing-table/entries.ts'
import { isEntryKind, type OperatorFrame, parseOperatorFrame, parseProxyFrame } from '../../proxy/routing-table/frames.ts'
import { IGNORABLE_FIELDS } from '../../proxy/routing-table/v1.ts'

const FOLDER = join(import.meta.dirname, 'frames')
const files = globSync('v*/*.json', { cwd: FOLDER }).toSorted()

const parserOf = (file: string): typeof parseOperatorFrame | typeof parseProxyFrame =>
  basename(file).startsWith('operator-') ? parseOperatorFrame : parseProxyFrame

const read = (file: string): string => readFileSync(join(FOLDER, file), 'utf8')

for (const file of files) {
  test(`reads ${file}`, () => {
    const parsed = parserOf(file)(read(file))
    assert.deepEqual(parsed, { kind: 'frame', frame: JSON.parse(read(file)) })
  })

  test(`reads ${file} with fields of a later version`, () => {
    const parsed = parserOf(file)(JSON.stringify({ ...JSON.parse(read(file)), later: { any: 'thing' } }))
    assert.equal(parsed.kind, 'frame')
  })

  test(`refuses ${file} cut short`, () => {
    assert.equal(parserOf(file)(read(file).slice(0, -3)).kind, 'broken')
  })
}

test('a frame of a later version is passed over', () => {
  assert.deepEqual(parseOperatorFrame('{"type":"later","x":1}'), { kind: 'unknown', type: 'later' })
  assert.deepEqual(parseProxyFrame('{"type":"later","x":1}'), { kind: 'unknown', type: 'later' })
})

test('a frame with a broken field is refused and says where', () => {
  assert.deepEqual(parseProxyFrame('{"type":"ack","epoch":1,"seq":-1,"kept":[]}'), {
    kind: 'broken',
    message: `ack /seq: must be a number from 0 to ${Number.MAX_SAFE_INTEGER}`,
  })
})

function change(file = 'v1/operator-change.json'): OperatorFrame & { type: 'change' } {
  const parsed = parseOperatorFrame(read(file))
  assert.ok(parsed.kind === 'frame' && parsed.frame.type === 'change')
  return parsed.frame
}

for (const file of ['v1/operator-change.json', 'v1/operator-change-limits.json', 'v1/operator-change-routing.json']) {
  test(`the entries of ${file} parse, make a table, and the table gives them back`, () => {
    const entries = change(file).set.map(({ kind, key, value }) => {
      assert.ok(isEntryKind(kind))
      const parsed = parseEntry(kind, key, value)
      assert.ok('entry' in parsed, JSON.stringify(parsed))
      return parsed.entry
    })
    assert.deepEqual(tableEntries(tableOf(entries, { epoch: 7, seq: 12 })), entries)
  })
}

type Reader = 'skips the field' | 'refuses the entry'

/** Fields of entries that came after the first tables, by the file that brought them, and what a reader that does not know them does. */
const LATER: Readonly<Record<string, Readonly<Record<string, Reader>>>> = {
  'v1/operator-change-limits.json': {
    // It would pass a limit, or a share of one.
    limits: 'refuses the entry',
    quota: 'refuses the entry',
    clients: 'refuses the entry',
    // It would send the key with requests that the backend does not understand.
    dialect: 'refuses the entry',
    // It knows no cost, and so no limit on one.
    pricing: 'skips the field',
    // It offers less, or hides fewer failures.
    extraRoutes: 'skips the field',
    interrupt: 'skips the field',
    outlier: 'skips the field',
  },
  'v1/operator-change-routing.json': {
    // A rule would hold for requests that it is not meant for.
    maxOutputTokens: 'refuses the entry',
    serviceAccounts: 'refuses the entry',
    schedule: 'refuses the entry',
    cel: 'refuses the entry',
    // It would pay more than it may.
    costCeiling: 'refuses the entry',
    unknownPrice: 'refuses the entry',
    // It would have a shorter chain than the table says.
    policy: 'refuses the entry',
    // It chooses as it did before.
    perHour: 'skips the field',
    tiers: 'skips the field',
    priceSource: 'skips the field',
    cacheWritePerMillionTokens: 'skips the field',
    sticky: 'skips the field',
  },
}

test('a later field may be skipped only where that passes no limit', () => {
  let known = fieldsOf(change().set)
  for (const [file, fields] of Object.entries(LATER)) {
    const { set } = change(file)
    const later = fieldsOf(set, (field) => !known.has(field))
    assert.deepEqual([...later].sort(), Object.keys(fields).sort(), file)
    known = new Set([...known, ...fieldsOf(set)])
  }
  const all = Object.values(LATER).flatMap((fields) => Object.entries(fields))
  assert.deepEqual([...IGNORABLE_FIELDS].sort(), all.flatMap(([field, what]) => (what === 'skips the field' ? [field] : [])).sort())
})

/** Names of all fields within, or, with `only`, of the outermost that it holds for. */
function fieldsOf(value: unknown, only?: (field: string) => boolean): ReadonlySet<string> {
  if (Array.isArray(value)) return new Set(value.flatMap((item) => [...fieldsOf(item, only)]))
  if (typeof value !== 'object' || value === null) return new Set()
  return new Set(
    Object.entries(value).flatMap(([field, inner]) => {
      if (only?.(field) === true) return [field]
      return [...(only === undefined ? [field] : []), ...fieldsOf(inner, only)]
    }),
  )
}

test('the hash of v1 is the sum of the versions', () => {
  const hash = new TableHash()
  for (const { version } of change().set) hash.add(version)
  assert.equal(hash.hex, JSON.parse(read('v1/operator-commit.json')).hash)
  hash.add('f'.repeat(32))
  hash.remove('f'.repeat(32))
  assert.equal(hash.hex, JSON.parse(read('v1/operator-commit.json')).hash)
})

test('an unknown field of an entry refuses it, unless the writer calls it ignorable', () => {
  const sent = change().set.find(({ kind }) => kind === 'endpoints')
  assert.ok(sent !== undefined && typeof sent.value === 'object')
  const value = { ...sent.value, later: { nested: 1 } }
  assert.deepEqual(parseEntry('endpoints', sent.key, value), { errors: [{ pointer: '/later', message: 'is not known' }] })
  assert.deepEqual(parseEntry('endpoints', sent.key, value, new Set(['later'])), parseEntry('endpoints', sent.key, sent.value))
  assert.ok('errors' in parseEntry('endpoints', sent.key, { ...value, other: 1 }, new Set(['later'])))
})

test('a field that is ignorable and known is kept where another is skipped', () => {
  const sent = change().set.find(({ kind }) => kind === 'endpoints')
  assert.ok(sent !== undefined && typeof sent.value === 'object')
  const parsed = parseEntry('endpoints', sent.key, { ...sent.value, later: 1 }, new Set(['later', 'lastResort']))
  assert.deepEqual(parsed, parseEntry('endpoints', sent.key, sent.value))
})

test('an entry under a key that is not its own is refused', () => {
  const sent = change().set.find(({ kind }) => kind === 'policy')
  assert.ok(sent !== undefined)
  assert.ok('errors' in parseEntry('policy', 'team-b/auto', sent.value))
})
