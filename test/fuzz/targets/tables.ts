/** Tables, their entries, and the frames that carry them; durations and addresses in them. */
import assert from 'node:assert/strict'
import { isIP, isIPv6 } from 'node:net'
import { parseDays } from '../../../operator/quota/days.ts'
import { parseDurationMs } from '../../../operator/translate/duration.ts'
import { parseDuration } from '../../../proxy/duration.ts'
import { readIp, readNetwork, spaceOf } from '../../../proxy/routing-table/address-space.ts'
import { ENTRY_KINDS, parseEntry, tableEntries, tableOf } from '../../../proxy/routing-table/entries.ts'
import { type ParsedFrame, parseOperatorFrame, parseProxyFrame } from '../../../proxy/routing-table/frames.ts'
import { compileTable, parseTable, resolveName, visibleNames } from '../../../proxy/routing-table/index.ts'
import type { Dice } from '../../support/dice.ts'
import type { Target } from '../target.ts'
import { isObject, JSON_TOKENS, parsed } from './json.ts'

/** A table is refused with places and reasons, or can be used: compiled, asked, taken apart and put together again. */
function tablesAreJudged(input: Buffer, dice: Dice): void {
  const value = parsed(input.toString())
  const result = parseTable(value)
  if ('errors' in result) {
    assert.ok(result.errors.length > 0)
    for (const { pointer, message } of result.errors) assert.ok((pointer === '' || pointer.startsWith('/')) && message !== '')
  } else {
    const compiled = compileTable(result.table)
    for (const { name } of visibleNames(compiled, 'default').slice(0, 5)) resolveName(compiled, name, 'default')
    compileTable(result.table, compiled)
    const { epoch, seq } = result.table
    assert.ok('table' in parseTable(tableOf(tableEntries(result.table), { epoch, seq })), 'its entries make no table')
  }
  if (isObject(value)) for (const list of Object.values(value)) entriesAreJudged(list, dice)
}

function entriesAreJudged(list: unknown, dice: Dice): void {
  for (const value of Array.isArray(list) ? list.slice(0, 3) : [list]) {
    const entry = parseEntry(dice.pick(ENTRY_KINDS), 'default/m', value, new Set(['x', 'limits']))
    if ('errors' in entry) assert.ok(entry.errors.length > 0)
  }
}

function framesAreJudged(input: Buffer): void {
  const text = input.toString()
  for (const parse of [parseOperatorFrame, parseProxyFrame]) {
    const result: ParsedFrame<{ readonly type: string }> = parse(text)
    if (result.kind === 'broken') assert.ok(result.message.length < 4000)
    else if (result.kind === 'frame') assert.equal(typeof result.frame.type, 'string')
    else assert.ok(result.type.length <= 64)
  }
}

/** Thirty years, where the operator stops counting. */
const LONGEST_MS = 1e12

function durationsAreFinite(input: Buffer): void {
  const text = input.toString()
  const ms = parseDuration(text)
  assert.ok(ms === undefined || (Number.isSafeInteger(ms) && ms >= 0))
  const counted = parseDurationMs(text)
  assert.ok(Number.isSafeInteger(counted) && counted >= 0)
  if (ms !== undefined) assert.equal(counted, Math.min(ms, LONGEST_MS), 'proxy and operator read one duration in two ways')
}

/** What a leader reads of what the one before wrote. */
function daysAreJudged(input: Buffer): void {
  const days = parseDays(input.toString())
  for (const { max, gone, by } of Object.values(days?.meters ?? {}))
    for (const amount of [max, gone, ...Object.values(by).flat()]) assert.ok(Number.isFinite(amount) && amount >= 0)
}

/** node:net is the oracle; a zone makes an address of one host, and is none here. */
function addressesAreRead(input: Buffer): void {
  const text = input.toString()
  const ip = readIp(text)
  assert.equal(ip !== undefined, isIP(text) !== 0 && !text.includes('%'), JSON.stringify(text))
  if (ip === undefined) return
  assert.ok(['Never', 'Private', 'Public'].includes(spaceOf(ip)))
  const network = readNetwork(`${text}/${isIPv6(text) ? 64 : 24}`)
  assert.ok(network !== undefined)
}

const FRAMES = [
  '"type":"change"',
  '"type":"hello"',
  '"type":"constructor"',
  '"set":[',
  '"kind":"model"',
  '"version":"0123456789abcdef0123456789abcdef"',
  '"have"',
  '"commit"',
  '"ack"',
  '"nack"',
]
const FIELDS = [
  '"models":[',
  '"backends":[',
  '"weight":',
  '"limits":{',
  '"quota":{"shiftAtPercent":80}',
  '"from":"__proto__"',
  '"from":"constructor"',
  '"version":2',
  '"addresses":{"private":"Deny","allow":["10.0.0.0/8"],"deny":[]}',
]

export const tables: readonly Target[] = [
  { name: 'table', json: true, tokens: [...JSON_TOKENS, ...FIELDS], check: tablesAreJudged },
  { name: 'frames', seeds: ['test/compat/frames/v1/*.json'], json: true, tokens: [...JSON_TOKENS, ...FRAMES], check: framesAreJudged },
  { name: 'duration', tokens: ['h', 'm', 's', 'ms', '0', '99999', '.', '-', '+', ' ', '1h', '30s', '٣', 'e9'], check: durationsAreFinite },
  {
    name: 'address',
    tokens: [':', '::', '.', 'ffff', '0', '255', '256', '127.0.0.1', '%eth0', '/8', 'g', '::ffff:', '00', '1', ' '],
    check: addressesAreRead,
  },
  { name: 'days', json: true, tokens: [...JSON_TOKENS, '"meters":{', '"by":{', '"day":'], check: daysAreJudged },
]
