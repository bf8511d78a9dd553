import type { Report } from './tally.ts'

/** The report for people. */
export function screenOf(report: Report): string {
  const { requests, skipped, models, rules, refused, moved, cost, latency, undecided } = report
  const decided = requests - Object.values(undecided).reduce((sum, count) => sum + count, 0)
  return [
    `${requests} requests${listed(skipped, 'lines skipped')}; ${moved} would go to another model.`,
    '',
    ...table('MODEL', models, (count) => `${count} ${percent(count, requests)}`),
    ...table('RULE', rules, String),
    ...table('REFUSED', refused, String),
    row('', 'RECORDED', 'NEW'),
    row('cost, USD', usd(cost.usd.old, cost.unknown.old), usd(cost.usd.new, cost.unknown.new)),
    row('first token, p50 / p95 ms', times(latency.firstTokenMs.old), times(latency.firstTokenMs.new)),
    row('whole answer, p50 / p95 ms', times(latency.wholeMs.old), times(latency.wholeMs.new)),
    ...(latency.unknown > 0
      ? [`How fast ${latency.unknown} of them would be is not known: the log has no answer of the model they would go to.`]
      : []),
    ...Object.entries(undecided).map(([why, count]) => `${count} could not be decided again: ${why}, which no access line has.`),
    `${decided} were decided again by this program, with every endpoint up and as many tokens as were recorded.`,
    '',
  ].join('\n')
}

const row = (name: string, old: string, now: string): string => `${name.padEnd(44)} ${old.padStart(18)} ${now.padStart(18)}`

function table(title: string, counts: Report['models'], shown: (count: number) => string): string[] {
  const rows = Object.entries(counts).map(([name, { old, new: now }]) => row(name, shown(old), shown(now)))
  return rows.length === 0 ? [] : [row(title, 'RECORDED', 'NEW'), ...rows, '']
}

const percent = (part: number, whole: number): string => `${((100 * part) / Math.max(1, whole)).toFixed(1)}%`.padStart(6)

const usd = (amount: number, unknown: number): string => `${amount.toFixed(6)}${unknown > 0 ? ` +${unknown} unknown` : ''}`

const times = ({ p50, p95 }: Report['latency']['wholeMs']['old']): string => `${ms(p50)} / ${ms(p95)}`

const ms = (value: number | undefined): string => (value === undefined ? '–' : value.toFixed(0))

const WORDS: Readonly<Record<string, string>> = {
  other: 'of something else',
  newer: 'of a newer version',
  broken: 'broken',
  undecided: 'refused before anything could be decided',
}

function listed(counts: Readonly<Record<string, number>>, what: string): string {
  const parts = Object.entries(counts).map(([name, count]) => `${count} ${WORDS[name] ?? name}`)
  return parts.length === 0 ? '' : ` (${what}: ${parts.join(', ')})`
}
