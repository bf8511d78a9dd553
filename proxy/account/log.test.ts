import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLogger, type LogFields, type LogLevel } from './log.ts'

function logged(level: LogLevel, fields: LogFields): unknown {
  const lines: string[] = []
  const logger = createLogger({ write: (line) => lines.push(line), level: 'info', now: () => Date.UTC(2026, 0, 2) })
  logger[level]('it happened', fields)
  assert.ok(lines.every((line) => line.endsWith('\n')))
  return lines.length === 0 ? undefined : JSON.parse(lines.join(''))
}

const at = { time: '2026-01-02T00:00:00.000Z', level: 'warn', msg: 'it happened' }

test('one line of JSON: time, level, message, fields', () => {
  assert.deepEqual(logged('warn', { epoch: 3, names: ['a'] }), { ...at, epoch: 3, names: ['a'] })
})

test('below the level nothing is written', () => {
  assert.equal(logged('debug', {}), undefined)
})

test('fields that are named like secrets are redacted at any depth; counts of tokens are not', () => {
  const fields = {
    authorization: 'x',
    apiKey: 'x',
    'x-api-key': 'x',
    client_secret: 'x',
    deep: [{ password: 'x' }],
    input_tokens: 7,
    keyboard: 'k',
  }
  const gone = '[redacted]'
  assert.deepEqual(logged('warn', fields), {
    ...at,
    authorization: gone,
    apiKey: gone,
    'x-api-key': gone,
    client_secret: gone,
    deep: [{ password: gone }],
    input_tokens: 7,
    keyboard: 'k',
  })
})

test('an error keeps its parts, a cycle and a large number do no harm', () => {
  const cycle: Record<string, unknown> = { big: 10n }
  cycle['self'] = cycle
  const line = JSON.stringify(logged('warn', { error: new Error('broke', { cause: new Error('why') }), cycle }))
  for (const part of ['"broke"', '"why"', '"10"', '[…]']) assert.ok(line.includes(part), part)
})
