/** Every input of the fuzzer's corpus, and all that has ever broken something (`test/fuzz/found/`), keeps what the targets promise. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { caseOf, check, corpusOf, foundOf } from './fuzz/inputs.ts'
import { TARGETS } from './fuzz/targets.ts'

const FEW_CASES = 150
const SEED = 1

for (const target of TARGETS) {
  const corpus = corpusOf(target)

  test(`fuzz ${target.name}: the corpus, and what was found`, () => {
    assert.ok(corpus.length > 0)
    for (const { bytes } of [...corpus, ...foundOf(target)]) check(target, bytes)
  })

  test(`fuzz ${target.name}: a few changed inputs`, () => {
    for (let number = 0; number < FEW_CASES; number++) check(target, caseOf(target, corpus, SEED, number))
  })
}
