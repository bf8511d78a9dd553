/** What `llama-swap explain` shows to people. PURE: from an explanation to text. */
import type { Explanation } from '../proxy/serve/explain.ts'

type Candidate = Explanation['candidates'][number]
type Endpoint = Candidate['endpoints'][number]

export function explainScreen({ facts, rules, decision, candidates }: Explanation): string {
  return [
    outcome(decision),
    `Asked for ${said(facts['asked'])} on ${said(facts['path'])}: about ${said(facts['promptTokens'])} prompt tokens${needs(facts['needs'])}.`,
    ...section(['RULE', 'HOLDS', 'WHAT DOES NOT'], rules.map(ruleRow)),
    ...section(['CANDIDATE', 'TIER', 'WEIGHT', 'FACTORS, OR WHY IT LOST'], candidates.map(candidateRow)),
    ...section(['ENDPOINT', 'AHEAD', 'USD', 'WHAT IS KNOWN, OR WHY IT WAS LEFT OUT'], candidates.flatMap(endpointRows)),
    '',
  ].join('\n')
}

/** An answer of a proxy that has all that is shown. */
export const isExplanation = (value: unknown): value is Explanation =>
  typeof value === 'object' &&
  value !== null &&
  'facts' in value &&
  'decision' in value &&
  'rules' in value &&
  Array.isArray(value.rules) &&
  'candidates' in value &&
  Array.isArray(value.candidates)

function outcome({ kind, model, backend, endpoint, rule, strategy, why, code, message, maxWaitMs }: Explanation['decision']): string {
  if (kind === 'send')
    return `Goes to ${said(model)} at ${said(backend)}/${said(endpoint)}, by rule ${said(rule)} (${said(strategy)}): ${said(why)}.`
  if (kind === 'hold') return `Waits, ${said(maxWaitMs)} ms at most, by rule ${said(rule)}: ${said(why)}.`
  return `Is refused, ${said(code)}: ${said(message)}`
}

const needs = (value: unknown): string => (Array.isArray(value) && value.length > 0 ? `, needs ${value.join(', ')}` : '')

const said = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' ? String(value) : '–')

const ruleRow = ({ rule, holds, mismatches, failure }: Explanation['rules'][number]): readonly string[] => [
  rule,
  holds ? 'yes' : 'no',
  [...mismatches, ...(failure === undefined ? [] : [failure])].join('; '),
]

const candidateRow = ({ model, tier, weight, via, lost, lostAt, factors }: Candidate): readonly string[] => [
  model,
  String(tier),
  String(weight),
  [
    via === undefined ? '' : `by ${via}`,
    lost === undefined ? '' : `${lostAt ?? 'lost'}: ${lost}`,
    ...Object.entries(factors ?? {}).flatMap(([name, value]) => (name === 'weight' ? [] : `${name} ${value}`)),
  ]
    .filter((part) => part !== '')
    .join(', '),
]

const endpointRows = ({ model, endpoints }: Candidate): readonly (readonly string[])[] =>
  endpoints.map((one) => [
    `${model} ${one.endpoint}`,
    String(one.ahead),
    one.costUsd === undefined ? '–' : one.costUsd.toPrecision(3),
    known(one),
  ])

function known({
  inFlight,
  running,
  waiting,
  firstTokenMs,
  tokenMs,
  state,
  rampPercent,
  quotaPercent,
  ruledOut,
  ruledOutAt,
}: Endpoint): string {
  const numbers: readonly (readonly [string, number | undefined, string])[] = [
    ['in flight', inFlight, ''],
    ['running', running, ''],
    ['waiting', waiting, ''],
    ['first token', firstTokenMs, ' ms'],
    ['per token', tokenMs, ' ms'],
    ['ramp', rampPercent, ' %'],
    ['quota used', quotaPercent, ' %'],
  ]
  return [
    ruledOut === undefined ? '' : `${ruledOutAt ?? 'left out'}: ${ruledOut}`,
    state ?? '',
    ...numbers.map(([name, value, unit]) => (value === undefined ? '' : `${name} ${value}${unit}`)),
  ]
    .filter((part) => part !== '')
    .join(', ')
}

/** Columns as wide as their widest; the last one is not padded. */
function section(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  if (rows.length === 0) return []
  const all = [head, ...rows]
  const widths = head.map((_, at) => Math.max(...all.map((row) => (row[at] ?? '').length)))
  return [
    '',
    ...all.map((row) =>
      row
        .map((cell, at) => (at === head.length - 1 ? cell : cell.padEnd(widths[at] ?? 0)))
        .join('  ')
        .trimEnd(),
    ),
  ]
}
