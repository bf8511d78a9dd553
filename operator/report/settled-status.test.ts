import assert from 'node:assert/strict'
import { test } from 'node:test'
import { verdictOf } from './conditions.ts'
import { factsOf, type Heard } from './facts.ts'
import { allHave, heard, type Scene, translated } from './report.fixture.ts'
import { parseStatus, type Status, settledStatus, statusObject } from './settled-status.ts'

const [FIRST, LATER] = ['2026-11-23T10:00:00Z', '2026-11-23T10:05:00Z']
const NOW_MS = 1_800_000_000_000

/** The model's status, and what a read of it would give. */
function settled(scene: Scene, said: Heard, held?: Status, isGathering = false, time = LATER): Status {
  const [facts] = factsOf(translated(scene), said).values()
  assert.ok(facts !== undefined)
  const verdict = verdictOf(facts, { nowMs: NOW_MS, gatheringUntilMs: isGathering ? NOW_MS + 1 : 0 })
  const status = settledStatus(verdict, held, { time, isGathering })
  const read = parseStatus(JSON.parse(JSON.stringify(statusObject(status))))
  assert.deepEqual(read, JSON.parse(JSON.stringify(status)), 'what is read is what was written')
  return status
}

const words = ({ conditions }: Status): string =>
  conditions.map(({ type, status, observedGeneration: of }) => `${type}=${status}@${of}`).join(' ')
const timeOf = ({ conditions }: Status, of: string): string | undefined => conditions.find(({ type }) => type === of)?.lastTransitionTime
const pending = (gateways: number, acked = 0) => heard({ gateways, acked, pendingSinceMs: NOW_MS - 1, rejected: [] })

const SERVED = settled({}, heard(allHave(3)), undefined, false, FIRST)

test('the time of a condition changes with its status and with nothing else', () => {
  const more = settled({ generation: 2 }, heard(allHave(4)), SERVED)
  assert.deepEqual([timeOf(more, 'Programmed'), timeOf(more, 'Ready')], [FIRST, FIRST])
  const down = settled({ generation: 2 }, heard(allHave(4), { e1: { up: 0, down: 1 }, e2: { up: 0, down: 1 } }), more)
  assert.deepEqual([timeOf(down, 'Programmed'), timeOf(down, 'Ready')], [FIRST, LATER])
})

test('a new object is pending', () => {
  assert.equal(words(settled({}, pending(3))), 'Accepted=True@1 ResolvedRefs=True@1 Programmed=Unknown@1 Ready=Unknown@1')
})

test('while a new generation is on its way Programmed is unknown, and Ready stays: the one before still serves', () => {
  const next = settled({ generation: 2 }, pending(3, 1), SERVED)
  assert.equal(words(next), 'Accepted=True@2 ResolvedRefs=True@2 Programmed=Unknown@2 Ready=True@1')
  const done = settled({ generation: 2 }, heard(allHave(3)), next)
  assert.equal(words(done), 'Accepted=True@2 ResolvedRefs=True@2 Programmed=True@2 Ready=True@2')
  assert.deepEqual([timeOf(done, 'Programmed'), timeOf(done, 'Ready')], [LATER, FIRST])
})

test('a change of something it refers to, in the same generation, changes no condition while it is on its way', () => {
  assert.deepEqual(settled({}, pending(3, 1), SERVED), SERVED)
})

test('a new leader writes nothing while gateways come back one by one', () => {
  const before = settled({}, heard(allHave(3), { e1: { up: 0, down: 3 } }), undefined, false, FIRST)
  assert.match(words(before), /Degraded=True/)
  for (const gateways of [0, 1, 2]) assert.deepEqual(settled({}, heard(allHave(gateways)), before, true), before)
  const back = settled({}, heard(allHave(3)), before, true)
  assert.doesNotMatch(words(back), /Degraded/)
})

test('once a new leader has waited, gateways that are gone are gone', () => {
  const fewer = settled({}, heard(allHave(2)), SERVED)
  assert.deepEqual(fewer.rest['programmed'], { generation: 1, proxies: 2, acked: 2, rejected: 0 })
  assert.equal(words(settled({}, heard(allHave(0)), SERVED)), 'Accepted=True@1 ResolvedRefs=True@1 Programmed=False@1 Ready=False@1')
})

test('a changed spec is told even while gateways come back', () => {
  assert.equal(
    words(settled({ generation: 2 }, heard(allHave(0)), SERVED, true)),
    'Accepted=True@2 ResolvedRefs=True@2 Programmed=Unknown@2 Ready=True@1',
  )
})

test('what others write into a status is left aside, and a status of another shape is none', () => {
  const [accepted] = SERVED.conditions
  const theirs = { ...accepted, type: 'TheirsAlone' }
  const raw = { ...statusObject(SERVED), conditions: [theirs, ...SERVED.conditions] }
  assert.deepEqual(parseStatus(raw)?.conditions, SERVED.conditions)
  for (const other of [undefined, null, 7, {}, { conditions: [] }]) assert.equal(parseStatus(other), undefined)
})
