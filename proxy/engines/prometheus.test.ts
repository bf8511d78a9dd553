import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAX_METRICS_CHARACTERS, maxOf, shareOf, sumOf } from './prometheus.ts'

const CASES: Record<string, { text: string; names: string[]; sum: number | undefined }> = {
  'one sample without labels': { text: 'a 3\n', names: ['a'], sum: 3 },
  'all label sets add up': { text: 'a{x="1"} 3\na{x="2"} 4\n', names: ['a'], sum: 7 },
  'a name that only starts alike is another': { text: 'a_b 3\nb_a 4\nba 5\n', names: ['a'], sum: undefined },
  'comments are passed over': { text: '# HELP a a 9\n# TYPE a gauge\na 1\n', names: ['a'], sum: 1 },
  'the first alias that is there wins': { text: 'new 1\nold 2\n', names: ['gone', 'new', 'old'], sum: 1 },
  'a counter may carry _total': { text: 'a_total 5\n', names: ['a'], sum: 5 },
  'colons may have become underscores': { text: 'e_running 2\n', names: ['e:running'], sum: 2 },
  'labels may hold braces, spaces and quotes': { text: 'a{m="x } \\" 7 {",n="2"} 6\n', names: ['a'], sum: 6 },
  'a timestamp and a carriage return do no harm': { text: 'a 1 1700000000000\r\na{b="c"} 2\r\n', names: ['a'], sum: 3 },
  'exponents are numbers': { text: 'a 1.5e+01\n', names: ['a'], sum: 15 },
  'what is not finite is unknown': { text: 'a NaN\na +Inf\n', names: ['a'], sum: undefined },
  'the last line needs no end': { text: 'a 4', names: ['a'], sum: 4 },
}

for (const [sentence, { text, names, sum }] of Object.entries(CASES)) {
  test(`metrics text: ${sentence}`, () => assert.equal(sumOf(text, names), sum))
}

test('metrics text: the greatest sample of all label sets', () => assert.equal(maxOf('a{x="1"} 0.2\na{x="2"} 0.7\n', ['a']), 0.7))
test('metrics text: a share outside 0..1 is unknown', () => assert.equal(shareOf('a 37\n', ['a']), undefined))
test('metrics text: more than the bound is not read at all', () =>
  assert.equal(sumOf(`a 1\n${'#'.repeat(MAX_METRICS_CHARACTERS)}`, ['a']), undefined))
