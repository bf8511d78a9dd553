import type { Report } from './tally.ts'

/** What is said beside the figures. */
export interface Beside {
  /** Backends that were given an endpoint, as theirs are known in a cluster alone. */
  readonly standIns: readonly string[]
  /** Of the requests that the old resources could decide again: how many go where the log says. Undefined = no old resources were given. */
  readonly agreement: { readonly requests: number; readonly same: number } | undefined
}

/** The report for people. */
export function screenOf(report: Report, { standIns, agreement }: Beside): string {
  const { requests, skipped, models, rules, refused, moved, cost, latency, undecided } = report
  const decided = requests - Object.values(undecided).reduce((sum, count) => sum + count, 0)
  return [
    `${requests} requests${listed(skipped, 'lines skipped')}; ${moved} would go to another model.`,
    '',
    ...table('MODEL', models, { old: sharesOf(requests), new: sharesOf(decided) }),
    ...table('RULE', rules),
    ...table('REFUSED', refused),
    row('', 'RECORDED', 'NEW'),
    row(`cost of ${cost.requests}, USD`, cost.usd.old.toFixed(6), cost.usd.new.toFixed(6)),
    row('first token, p50 / p95 ms', times(latency.firstTokenMs.old), times(latency.firstTokenMs.new)),
    row('whole answer, p50 / p95 ms', times(latency.wholeMs.old), times(latency.wholeMs.new)),
    '',
    ...(cost.unknown.old + cost.unknown.new > 0
      ? [`What was paid is not known of ${cost.unknown.old} requests, what would be of ${cost.unknown.new}; those are in neither sum.`]
      : []),
    ...(cost.newAloneUsd > 0 ? [`Requests whose price was not known would cost ${cost.newAloneUsd.toFixed(6)} USD.`] : []),
    ...(latency.unknown > 0
      ? [`How fast ${latency.unknown} of them would be is not known: the log has no answer of the model they would go to.`]
      : []),
    ...Object.entries(undecided).map(
      ([why, count]) =>
        `${count} could not be decided again: ${why}, which no access line has.${agreement === undefined ? ' --old may tell.' : ''}`,
    ),
    ...(agreement === undefined
      ? []
      : [`The old resources send ${agreement.same} of ${agreement.requests} where the log says: as far as that the rest can be believed.`]),
    ...(standIns.length > 0 ? [`One endpoint each stands for those that only a cluster knows: ${standIns.join(', ')}.`] : []),
    `${decided} were decided again by this program, with every endpoint up, limits that have room, as many tokens as were recorded, and each request by itself: sessions and prompts are in no log.`,
    '',
  ].join('\n')
}

const row = (name: string, old: string, now: string): string => `${name.padEnd(44)} ${old.padStart(18)} ${now.padStart(18)}`

type Shown = (count: number) => string

const sharesOf =
  (whole: number): Shown =>
  (count) =>
    `${count} ${percent(count, whole)}`

function table(
  title: string,
  counts: Report['models'],
  shown: { readonly old: Shown; readonly new: Shown } = { old: String, new: String },
): string[] {
  const rows = Object.entries(counts).map(([name, { old, new: now }]) => row(name, shown.old(old), shown.new(now)))
  return rows.length === 0 ? [] : [row(title, 'RECORDED', 'NEW'), ...rows, '']
}

const percent = (part: number, whole: number): string => `${((100 * part) / Math.max(1, whole)).toFixed(1)}%`.padStart(6)

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
