/** Bodies of requests: the scanner against JSON.parse, and what is sent upstream against what was read. */
import assert from 'node:assert/strict'
import { isUtf8 } from 'node:buffer'
import { DIALECTS } from '../../../proxy/dialects/dialects.ts'
import { boundaryOf, FormScanner } from '../../../proxy/dialects/form.ts'
import { bytewise, scanObject } from '../../../proxy/dialects/json-scan.ts'
import { bodyFor, readRequest } from '../../../proxy/dialects/request.ts'
import { ERRORS } from '../../../proxy/errors.ts'
import { ENGINES } from '../../../proxy/routing-table/v1.ts'
import type { Dice } from '../../support/dice.ts'
import type { Target } from '../target.ts'
import { cutAnywhere } from './cut.ts'
import { isObject, JSON_TOKENS, parsed } from './json.ts'

const dialects = [...DIALECTS.values()]
/** Behind what is parsed whole, so that the same body is scanned. */
const PADDING = Buffer.alloc(1024 * 1024, ' ')
const MAX_FIELDS = 1000

/** Every object of JSON.parse is one of the scanner, with the same keys, and each value where it says. */
function scansAsParsed(input: Buffer): void {
  const fields = scanObject(bytewise(input))
  const whole = parsed(input.toString())
  if (!isUtf8(input) || !isObject(whole)) return
  if (fields === undefined) return assert.ok(Object.keys(whole).length > MAX_FIELDS, 'an object that the scanner does not see')
  assert.deepEqual(new Set(fields.map(({ key }) => key)), new Set(Object.keys(whole)))
  const last = new Map(fields.map((field) => [field.key, field]))
  for (const [key, { valueStart, valueEnd }] of last)
    assert.deepEqual(parsed(input.toString('utf8', valueStart, valueEnd)), whole[key], `the value of ${key}`)
}

function readsAsParsed(input: Buffer, dice: Dice): void {
  if (!isUtf8(input)) return // refused before it is read
  const dialect = dice.pick(dialects)
  const read = readRequest(input, dialect)
  if ('error' in read) {
    assert.ok(read.error.code in ERRORS)
    if (dice.chance(0.05)) readRequest(Buffer.concat([input, PADDING]), dialect)
    return
  }
  const { body } = read
  const whole = parsed(input.toString())
  assert.ok(isObject(whole), 'a body that is no JSON object was read')
  assert.equal(body.model, whole['model'])
  assert.equal(body.stream, dialect.streams && (dialect.readRequest(whole).stream ?? whole['stream'] ?? false))
  assert.ok(Number.isFinite(body.promptTokens) && body.promptTokens >= 0)
  const clampOutputTokens = dice.chance(0.5) ? 1 + dice.below(5000) : undefined
  const engine = dice.pick(ENGINES)
  const upstreamModel = dice.pick(['up"stream\\', 'ü/1', body.model])
  const sent = parsed(
    Buffer.from(bodyFor(body, { upstreamModel, clampOutputTokens, askUsage: dice.chance(0.5), engine }, dialect)).toString(),
  )
  assert.ok(isObject(sent), 'the body sent upstream is no JSON object')
  assert.equal(sent['model'], upstreamModel)
  const changed = ['model', 'stream_options', ...dialect.outputTokenFields, dialect.outputTokenField(engine)]
  for (const key of new Set([...Object.keys(whole), ...Object.keys(sent)]))
    if (!changed.includes(key)) assert.deepEqual(sent[key], whole[key], `${key} was changed on its way`)
  if (clampOutputTokens !== undefined)
    for (const key of dialect.outputTokenFields) if (key in sent) assert.ok(Number(sent[key]) <= clampOutputTokens, `${key} is not clamped`)
  if (dice.chance(0.02)) sameWhenScanned(input, body.model, dialect)
}

/** A large body is scanned, not parsed: it must mean the same. */
function sameWhenScanned(input: Buffer, model: string, dialect: (typeof dialects)[number]): void {
  const large = readRequest(Buffer.concat([input, PADDING]), dialect)
  if ('error' in large) assert.ok(model.length > 1000, `refused only when it is large: ${large.error.message}`)
  else assert.equal(large.body.model, model)
}

interface Scanned {
  readonly problem: string | undefined
  readonly complete: boolean
  readonly fields: readonly (readonly [string, string])[]
}

function scanned(boundary: string, chunks: readonly Buffer[], bytes: Buffer): Scanned {
  const scanner = new FormScanner(boundary)
  let problem: string | undefined
  for (const chunk of chunks) {
    problem = scanner.push(chunk)
    if (problem !== undefined) break
  }
  for (const { value, valueStart, valueEnd } of scanner.fields.values()) assert.equal(bytes.toString('utf8', valueStart, valueEnd), value)
  return { problem, complete: scanner.complete, fields: [...scanner.fields].map(([key, { value }]) => [key, value]) }
}

/** The first line says the content type; the rest is the form. It means the same in whatever chunks it comes. */
function formsAreScanned(input: Buffer, dice: Dice): void {
  const end = input.indexOf('\n')
  const boundary = boundaryOf(input.toString('latin1', 0, Math.max(0, end)).trim())
  assert.ok(boundary === undefined || (boundary.length > 0 && boundary.length <= 70))
  const form = input.subarray(end + 1)
  const whole = scanned(boundary ?? 'B', [form], form)
  assert.deepEqual(scanned(boundary ?? 'B', cutAnywhere(form, dice), form), whole, 'another form when it comes in other chunks')
  assert.ok(whole.problem === undefined || whole.problem.endsWith('.'))
}

const FIELDS = [
  '"model":"x",',
  '"stream":true,',
  '"stream_options":{"include_usage":false},',
  '"max_tokens":5,',
  '"max_completion_tokens":-1,',
  '"n_predict":1e3,',
  '"\\u006dodel":"y",',
  ',"model":"z"',
]

const FORM = [
  '--B',
  '--B--',
  '\r\n',
  '\r\n\r\n',
  '\n',
  'Content-Disposition: form-data',
  '; name="model"',
  '; name="stream"',
  '; filename="a"',
  "; filename*=utf-8''a",
  'Content-Transfer-Encoding: base64',
  '"',
  '\\',
  ';',
  '=',
  'multipart/form-data; boundary=B',
  '; charset=utf-8',
]

export const requests: readonly Target[] = [
  { name: 'scan', seeds: ['test/fuzz/corpus/request/*'], json: true, tokens: [...JSON_TOKENS, ...FIELDS], check: scansAsParsed },
  { name: 'request', json: true, tokens: [...JSON_TOKENS, ...FIELDS], check: readsAsParsed },
  { name: 'form', tokens: FORM, check: formsAreScanned },
]
