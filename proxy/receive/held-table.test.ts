import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeTable } from '../../test/support/table.ts'
import { TableHash, tableEntries } from '../routing-table/entries.ts'
import { MAX_TABLE_BYTES, type SentEntry } from '../routing-table/frames.ts'
import { type Committed, HeldTable } from './held-table.ts'

const NONE: ReadonlySet<string> = new Set()
const versionOf = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32)

/** An operator that knows what the proxy should have. */
class Sender {
  readonly table = new HeldTable()
  readonly #sent = new Map<string, string>()
  #seq = 0

  set(...entries: readonly Omit<SentEntry, 'version'>[]): this {
    const set = entries.map((entry) => ({ ...entry, version: versionOf([entry.kind, entry.key, entry.value]) }))
    this.table.collect({ type: 'change', set, remove: [] })
    for (const { kind, key, version } of set) this.#sent.set(`${kind} ${key}`, version)
    return this
  }

  remove(entry: Pick<SentEntry, 'kind' | 'key'>): this {
    this.table.collect({ type: 'change', set: [], remove: [entry] })
    this.#sent.delete(`${entry.kind} ${entry.key}`)
    return this
  }

  get hash(): string {
    const hash = new TableHash()
    for (const version of this.#sent.values()) hash.add(version)
    return hash.hex
  }

  commit(hash = this.hash): Committed {
    return this.table.commit({ epoch: 1, seq: ++this.#seq, hash }, NONE)
  }
}

function model(name: string, weight = 1): Omit<SentEntry, 'version'> {
  const [value] = makeTable({
    models: { [name]: { weight, generation: Math.abs(weight), backends: [{ url: 'http://127.0.0.1:1' }] } },
  }).models
  return { kind: 'model', key: `default/${name}`, value }
}
const names = (table: HeldTable): string[] => table.table({ epoch: 1, seq: 1 }).models.map(({ ref, weight }) => `${ref} ${weight}`)
const keptOf = ({ answer }: Committed) => answer.kept.map(({ ref, generation }) => `${ref} ${generation}`)
const reasonOf = ({ answer }: Committed) => (answer.type === 'nack' ? answer.errors.map(({ reason }) => reason) : [])

test('what is collected counts with the commit, and not before', () => {
  const sender = new Sender().set(model('a'), model('b'))
  assert.deepEqual(names(sender.table), [])
  const committed = sender.commit()
  assert.deepEqual([committed.kind, committed.answer.type], ['taken', 'ack'])
  assert.deepEqual(names(sender.table), ['default/a 1', 'default/b 1'])
  assert.equal(sender.table.hash, sender.hash)
  sender.remove(model('a')).commit()
  assert.deepEqual(names(sender.table), ['default/b 1'])
})

test('a hash that does not fit leaves all as it was', () => {
  const sender = new Sender().set(model('a'))
  sender.commit()
  const before = sender.hash
  const committed = sender.set(model('a', 5), model('b')).commit('f'.repeat(32))
  assert.deepEqual([committed.kind, reasonOf(committed)], ['refused', ['hashMismatch']])
  assert.equal(sender.table.hash, before)
  assert.deepEqual(names(sender.table), ['default/a 1'])
})

test('a bad value keeps the last good one until a good one or the removal comes', () => {
  const sender = new Sender().set(model('a', 2), model('b'))
  sender.commit()
  const bad = sender.set(model('a', -1), model('b', 3)).commit()
  assert.deepEqual([bad.kind, reasonOf(bad), keptOf(bad)], ['taken', ['invalid'], ['default/a 2']])
  assert.deepEqual(names(sender.table), ['default/a 2', 'default/b 3'])
  const quiet = sender.set(model('b', 4)).commit()
  assert.deepEqual([quiet.answer.type, keptOf(quiet)], ['ack', ['default/a 2']])
  assert.deepEqual(keptOf(sender.set(model('a', 2)).commit()), [], 'the good version again')
  sender.set(model('a', -1)).commit()
  assert.deepEqual(keptOf(sender.remove(model('a')).commit()), [])
  assert.deepEqual(names(sender.table), ['default/b 4'])
})

test('what was refused is forgotten for whoever asks next, and only that', () => {
  const sender = new Sender().set(model('a'), model('b'))
  sender.commit()
  const { hash } = sender
  sender.set(model('a', -1), model('c', -1)).commit()
  sender.table.settle()
  assert.equal(sender.table.hash, hash)
  assert.deepEqual(sender.table.kept(), [])
  assert.deepEqual(names(sender.table), ['default/a 1', 'default/b 1'])
})

test('an entry of an unknown kind is refused by itself, and counts in the hash', () => {
  const sender = new Sender().set(model('a'))
  const later: Omit<SentEntry, 'version'> = JSON.parse('{"kind":"quota","key":"default/q","value":{}}')
  const committed = sender.set(later).commit()
  assert.deepEqual([committed.kind, reasonOf(committed)], ['taken', ['unknownKind']])
  assert.deepEqual(names(sender.table), ['default/a 1'])
  assert.equal(sender.remove(later).commit().answer.type, 'ack')
})

test('a field that the writer calls ignorable is skipped', () => {
  const { value, ...entry } = model('a')
  const table = new HeldTable()
  const version = 'a'.repeat(32)
  table.collect({ type: 'change', set: [{ ...entry, version, value: { ...Object(value), later: 1 } }], remove: [] })
  assert.equal(table.commit({ epoch: 1, seq: 1, hash: version }, new Set(['later'])).answer.type, 'ack')
  assert.equal(JSON.stringify(table.good()).includes('later'), false)
})

test('a table above 64 MiB is refused whole', () => {
  const sender = new Sender().set(model('a'))
  sender.commit()
  const large = 'x'.repeat(4 * 1024 * 1024)
  for (let at = 0; at * large.length <= MAX_TABLE_BYTES; at++) sender.set({ kind: 'model', key: `default/m${at}`, value: large })
  const committed = sender.commit()
  assert.deepEqual([committed.kind, reasonOf(committed)], ['refused', ['tooLarge']])
  assert.deepEqual(names(sender.table), ['default/a 1'])
})

test('what was restored is what was good', () => {
  const entries = tableEntries(makeTable({ models: { m: { backends: [{ url: 'http://127.0.0.1:1' }] } } }))
  const table = new HeldTable()
  table.restore(entries.map((entry) => ({ entry, version: versionOf(entry) })))
  const hash = new TableHash()
  for (const entry of entries) hash.add(versionOf(entry))
  assert.equal(table.hash, hash.hex)
  assert.deepEqual(
    table.good().map(({ entry }) => entry),
    entries,
  )
})

test('whatever is sent, the hash is of what was received and the table of the last good values', () => {
  const step = fc.record({ name: fc.constantFrom('a', 'b', 'c'), weight: fc.integer({ min: -2, max: 3 }), gone: fc.boolean() })
  fc.assert(
    fc.property(fc.array(fc.array(step, { maxLength: 4 }), { maxLength: 12 }), (commits) => {
      const sender = new Sender()
      const good = new Map<string, number>()
      for (const steps of commits) {
        const last = new Map<string, number | undefined>()
        for (const { name, weight, gone } of steps) {
          if (gone) sender.remove(model(name))
          else sender.set(model(name, weight))
          last.set(name, gone ? undefined : weight)
        }
        assert.equal(sender.commit().kind, 'taken')
        for (const [name, weight] of last) {
          if (weight === undefined) good.delete(name)
          else if (weight >= 0) good.set(name, weight)
        }
        assert.equal(sender.table.hash, sender.hash)
        assert.deepEqual(names(sender.table).toSorted(), [...good].map(([name, weight]) => `default/${name} ${weight}`).toSorted())
      }
    }),
  )
})
