import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Limits } from '../proxy/limits/limits.ts'
import { compileTable } from '../proxy/routing-table/index.ts'
import { makeTable } from '../test/support/table.ts'
import { DayFile } from './day-file.ts'

const NOON_MS = Date.parse('2026-11-25T12:00:00Z')
const KEY = 'model default/m tokensPerDay'
const TABLE = compileTable(makeTable({ models: { m: { backends: [{ url: 'http://10.0.0.1' }], limits: { tokensPerDay: 1000 } } } }))

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'llama-swap-days-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'deep', 'days.json')
}

/** A process that begins at this time, uses so much, and ends. Resolves with what it knew as used at its start, and its warnings. */
async function live(
  path: string,
  nowMs: number,
  amount: number,
): Promise<{ readonly known: number; readonly warnings: readonly string[] }> {
  const limits = new Limits()
  limits.apply(TABLE)
  const warnings: string[] = []
  const silent = (): void => {}
  const logger = { debug: silent, info: silent, error: silent, warn: (message: string) => void warnings.push(message) }
  const file = new DayFile({ path, limits, logger, now: () => nowMs })
  await file.start()
  const known = limits.reading(KEY, nowMs)?.used ?? Number.NaN
  if (amount > 0) limits.carry(KEY, amount, nowMs)
  await file.close()
  return { known, warnings }
}

test('what was used is known after a restart, and no more on the next day', async (t) => {
  const path = await folderOf(t)
  assert.equal((await live(path, NOON_MS, 300)).known, 0)
  assert.equal((await live(path, NOON_MS + 3_600_000, 200)).known, 300)
  assert.equal((await live(path, NOON_MS + 7_200_000, 0)).known, 500)
  assert.equal((await live(path, NOON_MS + 12 * 3_600_000, 0)).known, 0)
})

test('nothing is written where nothing was used', async (t) => {
  const path = await folderOf(t)
  await live(path, NOON_MS, 0)
  await assert.rejects(readFile(path))
})

test('a file that is cut short is begun anew, with a warning', async (t) => {
  const path = await folderOf(t)
  await live(path, NOON_MS, 300)
  await writeFile(path, (await readFile(path, 'utf8')).slice(0, -5))
  const { known, warnings } = await live(path, NOON_MS, 100)
  assert.equal(known, 0)
  assert.deepEqual(warnings, ['what was used of limits a day cannot be read and is begun anew'])
  assert.deepEqual((await live(path, NOON_MS, 0)).known, 100)
})
