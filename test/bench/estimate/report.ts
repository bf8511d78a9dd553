/** The section of docs/benchmarks.md about estimates. In: counted texts and speeds. Out: Markdown, and what misses the gate. PURE. */
import { type Counted, type Off, offAfter, quantile } from './measure.ts'
import { KINDS } from './sources.ts'

export interface Measured {
  /** Where and when. */
  readonly ground: string
  /** Counted by the engine that serves the model. */
  readonly engine: readonly Counted[]
  /** The same texts as conversations, with the model's template. */
  readonly conversations: readonly Counted[]
  readonly second: readonly Counted[]
  readonly speeds: readonly (readonly [string, string])[]
  readonly missing: number
}

const MOST_MEDIAN = 5
const MOST_P95 = 15
const STEPS = [0, 20, 200]
const MIXED_STEPS = [0, 20, 100, 200, 1000]
const SIZES = [200, 400, 800, 1600, 4001]

const both = (offs: readonly Off[]): string => `${quantile(offs, 0.5).toFixed(1)} / ${quantile(offs, 0.95).toFixed(1)}`
const row = (...cells: readonly string[]): string => `| ${cells.join(' | ')} |`

/** Kinds that are off by more than is allowed after 20 answers of their own. */
export const missedGate = ({ engine }: Measured): string[] =>
  KINDS.filter((kind) => {
    const offs = offAfter(20, engine, kind)
    return quantile(offs, 0.5) > MOST_MEDIAN || quantile(offs, 0.95) > MOST_P95
  })

function byKind(texts: readonly Counted[]): string {
  const rows = KINDS.map((kind) => row(kind, ...STEPS.map((answers) => both(offAfter(answers, texts, kind)))))
  return [row('kind', ...STEPS.map((answers) => `after ${answers}`)), '|---|---|---|---|', ...rows].join('\n')
}

function mixed(texts: readonly Counted[]): string {
  const rows = MIXED_STEPS.map((answers) => {
    const offs = offAfter(answers, texts, undefined)
    return row(String(answers), both(offs), ...KINDS.map((kind) => both(offs.filter((one) => one.kind === kind))))
  })
  return [row('answers', 'all', ...KINDS), '|---|---|---|---|---|---|---|', ...rows].join('\n')
}

function bySize(texts: readonly Counted[]): string {
  const after20 = KINDS.map((kind) => offAfter(20, texts, kind))
  const rows = SIZES.slice(0, -1).map((from, at) => {
    const to = SIZES[at + 1] ?? Number.POSITIVE_INFINITY
    return row(
      `${from} to ${to - 1}`,
      ...after20.map((offs) => both(offs.filter(({ characters }) => characters >= from && characters < to))),
    )
  })
  return [row('characters', ...KINDS), '|---|---|---|---|---|---|', ...rows].join('\n')
}

export function estimateReport(measured: Measured): string {
  const { ground, engine, conversations, second, speeds, missing } = measured
  const missed = missedGate(measured)
  const held = engine.filter(({ part }) => part === 'held out').length / KINDS.length
  return `Written by \`make bench-estimate\`. ${ground}

By how much estimates of a prompt's tokens are off, in percent of the true count: median / 95th percentile over ${held} held-out texts of each kind, of 200 to 4,000 characters, and ten orders of what was learnt before. Gate: ≤ ${MOST_MEDIAN} / ${MOST_P95} after 20 answers of the kind: ${missed.length === 0 ? 'passed' : `**missed** by ${missed.join(', ')}`}.

SmolLM2-135M-Instruct, counted by llama-server (\`/tokenize\`); "after 0" is the plain estimate:

${byKind(engine)}

By size, after 20 answers of the kind:

${bySize(engine)}

A mixed stream, where the answers before were of all kinds:

${mixed(engine)}

The same texts cut into conversations of one to six messages and counted with the model's own template, mixed:

${mixed(conversations)}

Another vocabulary (cl100k), to which no weight was fitted:

${byKind(second)}

| speed | |
|---|---|
${speeds.map(([what, much]) => row(what, much)).join('\n')}

How it is measured: texts are chosen by rule from documentation and sources in Debian's stable packages and \`node_modules\` (\`test/bench/estimate/sources.ts\`), at most five of a file; the repository keeps their hashes (${missing} of today's texts are not known and were left out). The hash of a file's path decides whether its texts are held out or for developing: the choice of features and the plain weights come from the developing half, and here only that half is learnt; held-out texts are estimated and never learnt. (First sketches of features were also looked at on held-out files; those are not among the ones above, as far as a source has enough others.) The plain weights were fitted to o200k, Qwen3 and Gemma 3, not to the model that is measured.
`
}
