import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Calibration, freshCalibration, inherited, learnTokens, tokensBy } from './calibration.ts'
import { FEATURES } from './features.ts'
import { noParts, type Prompt, promptOf, weigh } from './prompt.ts'
import { openVariance } from './solve.ts'
import { PLAIN_WEIGHTS } from './weights.ts'

const WORDS = [
  'what',
  'is',
  'the',
  'Hauptstadt',
  'fooBar()',
  '12',
  '{"a": 1}',
  '你好世界',
  '\n',
  'internationalization',
  'für',
  'x.y',
  'ZIP',
  '\t  if',
]

/** Prompts of many sorts, the same each time. */
function promptAt(index: number): Prompt {
  const texts = Array.from(
    { length: 20 + ((index * 37) % 200) },
    (_, at) => WORDS[(index * 7 + at * (1 + (index % 5)) + (at >> 2)) % WORDS.length],
  )
  return promptOf({ ...noParts(), texts: [texts.join(' ')], messages: 1 + (index % 4) })
}

/** A vocabulary with little Chinese, whose template adds a lot. */
const TRUTH = Float64Array.from(
  FEATURES,
  (feature, at) => (PLAIN_WEIGHTS[at] ?? 0) * (feature === 'han' ? 2.4 : 1.15) + (feature === 'start' ? 20 : 0),
)
const truthOf = ({ counts }: Prompt): number => Math.round(weigh(counts, TRUTH))

const worst = (calibration: Calibration): number =>
  Math.max(
    ...Array.from({ length: 50 }, (_, at) => promptAt(1000 + at)).map((prompt) =>
      Math.abs(tokensBy(calibration, prompt) / truthOf(prompt) - 1),
    ),
  )

function learnt(from: number, to: number, calibration = freshCalibration()): Calibration {
  for (let at = from; at < to; at++) learnTokens(calibration, promptAt(at), truthOf(promptAt(at)))
  return calibration
}

test('before any answer the plain weights hold', () => {
  const prompt = promptAt(3)
  assert.ok(Math.abs(tokensBy(freshCalibration(), prompt) - prompt.plainTokens) < 0.01)
})

test('twenty answers bring it close to another vocabulary, a hundred closer', () => {
  assert.ok(worst(freshCalibration()) > 0.2)
  assert.ok(worst(learnt(0, 20)) < 0.06, String(worst(learnt(0, 20))))
  assert.ok(worst(learnt(0, 100)) < 0.03, String(worst(learnt(0, 100))))
})

test('reports that cannot be are not learnt', () => {
  const calibration = learnt(0, 30)
  const before = JSON.stringify(calibration)
  const prompt = promptAt(5)
  for (const nonsense of [0, -5, Number.NaN, Number.POSITIVE_INFINITY, 1e12, 1, prompt.plainTokens * 9]) {
    assert.equal(learnTokens(calibration, prompt, nonsense), false, String(nonsense))
  }
  assert.equal(learnTokens(calibration, { ...prompt, opaque: true }, truthOf(prompt)), false)
  assert.equal(JSON.stringify(calibration), before)
})

test('a few wrong reports that could be do little, and are forgotten', () => {
  const calibration = learnt(0, 60)
  for (let at = 0; at < 3; at++) learnTokens(calibration, promptAt(at), truthOf(promptAt(at)) * 3)
  assert.ok(worst(calibration) < 0.25, String(worst(calibration)))
  learnt(60, 120, calibration)
  assert.ok(worst(calibration) < 0.06, String(worst(calibration)))
})

test('another model under the same name is learnt anew', () => {
  const calibration = freshCalibration()
  for (let at = 0; at < 300; at++) learnTokens(calibration, promptAt(at), promptAt(at).plainTokens * 0.7)
  assert.ok(worst(calibration) > 0.25)
  learnt(300, 600, calibration)
  assert.ok(worst(calibration) < 0.1, String(worst(calibration)))
})

test('tokens that came as numbers are certain', () => {
  const prompt = promptOf({ ...noParts(), given: 500 })
  assert.equal(tokensBy(learnt(0, 50), prompt), 500)
})

test('what an answer leaves open shrinks where there were some of its kind, and nowhere else', () => {
  const english = promptOf({ ...noParts(), texts: ['What is the capital of France? '.repeat(20)] })
  const chinese = promptOf({ ...noParts(), texts: ['你好世界'.repeat(100)] })
  const calibration = freshCalibration()
  const open = (prompt: Prompt): number => Math.sqrt(openVariance(calibration.information, prompt.counts)) / prompt.plainTokens
  const [before, beforeChinese] = [open(english), open(chinese)]
  for (let at = 0; at < 40; at++) learnTokens(calibration, english, english.plainTokens)
  assert.ok(open(english) < 0.05 && before > 0.2, `${before} ${open(english)}`)
  assert.ok(open(chinese) > 0.9 * beforeChinese && beforeChinese > 0.2, `${beforeChinese} ${open(chinese)}`)
})

test('a model of the same tokenizer begins with what the other knows, and believes its own answers', () => {
  const heir = inherited(learnt(0, 100))
  assert.ok(worst(heir) < 0.03)
  assert.equal(heir.answers, 0)
  for (let at = 0; at < 40; at++) learnTokens(heir, promptAt(at), promptAt(at).plainTokens)
  const off = Math.max(
    ...Array.from({ length: 30 }, (_, at) => Math.abs(tokensBy(heir, promptAt(500 + at)) / promptAt(500 + at).plainTokens - 1)),
  )
  assert.ok(off < 0.06, String(off))
})

test('it takes at most a kibibyte', () => {
  const { weights, information, pull } = learnt(0, 50)
  assert.ok(weights.byteLength + information.byteLength + pull.byteLength + 16 <= 1024)
})

test('whatever is reported, estimates stay finite, not negative and within eight times the plain one', () => {
  const report = fc.tuple(fc.nat({ max: 500 }), fc.double({ noNaN: true, min: -1, max: 9 }))
  fc.assert(
    fc.property(fc.array(report, { maxLength: 200 }), (reports) => {
      const calibration = freshCalibration()
      for (const [at, times] of reports) learnTokens(calibration, promptAt(at), promptAt(at).plainTokens * times)
      for (let at = 0; at < 20; at++) {
        const tokens = tokensBy(calibration, promptAt(at))
        assert.ok(tokens >= 0 && tokens <= promptAt(at).plainTokens * 8 + 1e-6)
      }
    }),
    { numRuns: 40 },
  )
})
