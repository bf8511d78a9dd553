import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FEATURES, type Feature, featureAt } from './features.ts'
import { noParts, promptOf } from './prompt.ts'

const countsOf = (texts: string[]): Float64Array => promptOf({ ...noParts(), texts }).counts

type Counts = Partial<Record<Feature, number>>

const told = (text: string): Counts =>
  Object.fromEntries(FEATURES.map((feature) => [feature, countsOf([text])[featureAt(feature)] ?? 0]).filter(([, count]) => count !== 0))

const CASES: Readonly<Record<string, [string, Counts]>> = {
  nothing: ['', {}],
  'words, and the spaces before them count for nothing': ['the rest of it', { words: 4 }],
  'letters of long words': ['internationalization', { words: 1, over6: 4, over10: 10, rare: 1 }],
  'parts of names': ['fooBar HTTPServer', { words: 2, parts: 2, capitals: 4 }],
  'pairs of letters that English does not have': ['zqxj', { words: 1, rare: 3 }],
  'the same in capitals': ['ZQ', { words: 1, rare: 1, capitals: 1 }],
  'letters of Latin script beyond ASCII': ['für Öl', { words: 2, latin: 2 }],
  'digits, and the space before them': ['in 2026', { words: 1, digits: 4, blanks: 1 }],
  'one sign between letters': ['a.b', { words: 2, marks: 1, signs: 1, joins: 1 }],
  'a run of signs that change': ['});', { marks: 1, signs: 3 }],
  'a run of one sign': ['=================', { marks: 1, signs: 2 }],
  'line ends of both kinds, and blanks': ['a\r\n\n  b', { words: 2, lines: 1.125, blanks: 1 }],
  tabs: ['\t\ta', { words: 1, tabs: 2, blanks: 1 }],
  Chinese: ['你好，世界', { han: 4, hanRuns: 2, wide: 1 }],
  'other scripts, and halves of characters': ['я\ud800', { wide: 2 }],
}

for (const [name, [text, counts]] of Object.entries(CASES)) {
  test(`what is counted in a text: ${name}`, () => assert.deepEqual(told(text), counts))
}

const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.string(),
  fc.stringMatching(/^[\ud800-\udfff -\u024f]*$/),
)

test('any string has finite counts, none below 0, and an estimate of at least a token for some of it', () => {
  fc.assert(
    fc.property(fc.array(anyText), (texts) => {
      const { counts, plainTokens } = promptOf({ ...noParts(), texts })
      assert.ok(counts.every((count) => count >= 0 && Number.isFinite(count)))
      assert.ok(Number.isFinite(plainTokens) && plainTokens >= (texts.join('') === '' ? 0 : 1))
    }),
  )
})

test('more text is never much less', () => {
  const tokensOf = (text: string): number => promptOf({ ...noParts(), texts: [text] }).plainTokens
  fc.assert(fc.property(anyText, anyText, (text, more) => assert.ok(tokensOf(text + more) >= tokensOf(text) - 1)))
})

test('how a text is cut into messages changes only what stands at the cuts', () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[a-z ]{0,30}$/), { maxLength: 9 }), (texts) => {
      const [cut, whole] = [countsOf(texts), countsOf([texts.join('\n')])]
      assert.ok(Math.abs((cut[featureAt('words')] ?? 0) - (whole[featureAt('words')] ?? 0)) === 0)
    }),
  )
})

test('of a text of a mebibyte a part is read, and stands for the rest', () => {
  const text = 'What is the capital of France? '.repeat(40_000)
  const words = countsOf([text])[featureAt('words')] ?? 0
  assert.ok(Math.abs(words / (40_000 * 6) - 1) < 0.02, String(words))
  const cut = countsOf(text.match(/.{1,500}/gs) ?? [])[featureAt('words')] ?? 0
  assert.ok(Math.abs(cut / (40_000 * 6) - 1) < 0.04, String(cut))
})

test('tools, messages and token numbers count apart from text', () => {
  const plain = promptOf({ ...noParts(), texts: ['Hello'], messages: 1 }).plainTokens
  const more = promptOf({ ...noParts(), texts: ['Hello'], messages: 2, tools: '{"type":"function"}', given: 7 })
  assert.ok(more.plainTokens > plain + 7 + 4)
  assert.equal(promptOf(noParts()).plainTokens, 0)
  assert.equal(promptOf({ ...noParts(), given: 3 }).plainTokens, 3)
})

test('a sample stands for so many times as much', () => {
  const once = promptOf({ ...noParts(), texts: ['Hello there'] }).plainTokens
  assert.ok(Math.abs(promptOf({ ...noParts(), texts: ['Hello there'], times: 10 }).plainTokens - 10 * once) < 1e-6)
})
