import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { newAllowance } from './allowance.ts'
import { compileCel } from './cel.ts'
import type { CelInput } from './cel-input.ts'

const INPUT: CelInput = {
  request: {
    model: 'auto',
    temperature: 0.2,
    max_tokens: 200,
    tools: [{ type: 'function' }],
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: [{ type: 'text', text: 'Hi' }, { type: 'image_url' }] },
    ],
  },
  client: { name: 'team-a/key', namespace: 'team-a', serviceAccount: '' },
  headers: { 'x-tier': 'gold' },
  facts: { route: 'chat', path: '/v1/chat/completions', stream: true, promptTokens: 50n, maxOutputTokens: 200n, capabilities: ['vision'] },
}

function holds(text: string, input = INPUT): boolean | string {
  const compiled = compileCel(text)
  if ('mistake' in compiled) return `${compiled.mistake.line}:${compiled.mistake.column} ${compiled.mistake.message}`
  try {
    return compiled.program(input, newAllowance())
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n')[0] ?? '') : ''
  }
}

const CASES: Readonly<Record<string, boolean | string>> = {
  'request.tools.size() > 0': true,
  'size(request.messages) > 2': false,
  'has(request.seed)': false,
  'request.max_tokens > 100 && request.temperature < 0.5': true,
  'request.messages.exists(m, m.role == "system")': true,
  'request.messages[1].content.exists(p, p.type == "image_url")': true,
  'request.messages.exists(m, type(m.content) == list && m.content.exists(p, p.type == "image_url"))': true,
  'headers["x-tier"] == "gold"': true,
  '"x-tier" in headers': true,
  'client.namespace == "team-a" && client.serviceAccount == ""': true,
  'facts.promptTokens < 100 && facts.stream': true,
  '"vision" in facts.capabilities': true,
  'request.model.startsWith("au")': true,
  'request.seed == 1': 'No such key: seed',
  '1 +': '1:4 Unexpected token: EOF',
  'request.stream &&\n  nothing': '2:3 Unknown variable: nothing',
  'facts.tokens > 1': '1:7 No such key: tokens',
  'facts.promptTokens + 1': '1:1 must be true or false, and is of type int',
  'request.model.matches("a+")': '1:1 matches() is not available here',
  'request.model.split("").size() > 1': '1:1 split() is not available here',
  'request.messages.filter(m, m.role == "user").size() == 1': true,
  'request.messages[size(request.messages) - 1].content.exists(p, p.type == "image_url")': true,
  '"user" in request.messages.map(m, m.role)': true,
  '["gpt", "au"].exists(p, request.model.startsWith(p))': true,
  'request.messages.exists(m, m.role == request.model)': false,
  'request.messages.map(m, request.messages).exists(x, x.size() > 9)':
    '1:1 a loop may only look through a part of the request, or a list of constants',
  '[request.model].map(t, t + t).exists(t, t == "")': '1:1 a loop may only look through a part of the request, or a list of constants',
  'request.model': 'is neither true nor false',
  headers: '1:1 must be true or false, and is of type map<string, string>',
}

for (const [text, expected] of Object.entries(CASES)) test(`CEL: ${text}`, () => assert.equal(holds(text), expected))

const LONG = { big: 'a'.repeat(1_000_000), messages: Array.from({ length: 20_000 }, (_, at) => ({ role: 'user', at })) }

/** What would take seconds or more, and what is as much as all of a large request. */
const LOOKS: Readonly<Record<string, boolean | string>> = {
  'size(request.messages) > 10': true,
  'request.big.contains("b")': false,
  'request.messages[19999].at == 19999.0': true,
  'request.messages.exists(m, m.at == 19999.0)': 'looking at this request would take too long',
  'request.messages.exists(m, request.big.contains("b"))': 'looking at this request would take too long',
  'request.messages.exists(a, request.messages.exists(b, a == b))': 'looking at this request would take too long',
  'request.messages.filter(m, request.messages == request.messages).size() > 0': 'looking at this request would take too long',
}

for (const [text, expected] of Object.entries(LOOKS))
  test(`CEL over a large request: ${text}`, () => assert.equal(holds(text, { ...INPUT, request: LONG }), expected))

test('what one expression has looked at is not left for the next', () => {
  const compiled = compileCel('request.big.contains("b")')
  assert.ok('program' in compiled)
  const allowance = newAllowance()
  for (let times = 0; times < 4; times++) assert.equal(compiled.program({ ...INPUT, request: LONG }, allowance), false)
  assert.throws(() => compiled.program({ ...INPUT, request: LONG }, allowance), /too long/)
})

test('any text is a program or a mistake with a place', () => {
  const word = fc.constantFrom(
    'request',
    'facts.stream',
    '(',
    ')',
    '&&',
    '1',
    '"a"',
    '.size()',
    '[',
    ']',
    'in',
    '.exists(',
    'm,',
    '?',
    ':',
    'é',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.array(word).map((words) => words.join(' ')),
      ),
      (text) => {
        const compiled = compileCel(text)
        if ('mistake' in compiled) assert.ok(compiled.mistake.line >= 1 && compiled.mistake.column >= 1 && compiled.mistake.message !== '')
      },
    ),
    { numRuns: 300 },
  )
})
