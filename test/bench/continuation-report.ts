/** Settings and figures of continuations on real engines, and how they are written down as Markdown. PURE. */

export interface Setting {
  readonly route: 'chat' | 'completions'
  readonly method: 'prefix' | 'replay'
  readonly temperature: number
  readonly seeded: boolean
}

/** One answer whose engine was killed in the middle of it. */
export interface Trial {
  /** It came to its finish reason and its sentinel, without an error. */
  readonly finished: boolean
  /** Byte for byte what an engine answers that nobody kills. */
  readonly same: boolean
  /** The longest time without content after the kill; undefined where nothing came any more. */
  readonly pauseMs: number | undefined
}

export interface Row {
  readonly setting: Setting
  readonly trials: readonly Trial[]
}

const WAYS = [
  { temperature: 0, seeded: false },
  { temperature: 0.8, seeded: false },
  { temperature: 0.8, seeded: true },
] as const

export const SETTINGS: readonly Setting[] = (['prefix', 'replay'] as const).flatMap((method) =>
  (['chat', 'completions'] as const).flatMap((route) => WAYS.map((way) => ({ route, method, ...way }))),
)

export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly date: string
}

export function continuationReport(rows: readonly Row[], { processor, cores, date }: Machine): string {
  return `Written by \`node test/bench/continuation.ts --write\`. ${processor}, ${cores} cores, ${date}.

How often a stream that breaks comes to its end with \`interrupt: Continue\`, on two llama-servers with SmolLM2 135M.

| method | route | temperature | broken | whole | as if unbroken | pause, median (ms) |
| --- | --- | --- | --- | --- | --- | --- |
${rows.map(line).join('\n')}

* The first engine is killed (SIGKILL) after 5 to 60 events of an answer of at most 100 tokens; the second has to go on. *Broken*: answers that this befell. *Whole*: of these, those that came to their finish reason and \`[DONE]\`; all others ended with an error in the stream.
* *As if unbroken*: whole, and byte for byte the answer of the second engine to the same request when nobody was killed. At a temperature above 0 without a seed that is chance. After a prefix continuation it need not be so even at 0: the text is cut into tokens anew, and read in one go.
* A replay is whole only if the engine says the same again. So the method is for temperature 0, or for requests with a seed; at 0.8 without one it nearly always ends with the error it began with.
* The pause is the longest time without content after the kill. A prefix continuation has to read prompt and text; a replay has to write the text again. The second engine has just given the unbroken answer, so the prompt is in its cache, and the text too where it is the same: elsewhere the pause is longer.
* Both engines are the same program on one machine and answer one request at a time. GPUs that answer several at once are less repeatable, even at temperature 0: expect fewer replays to be whole there. Pauses depend on the machine, which may do other work beside this.
`
}

function line({ setting: { method, route, temperature, seeded }, trials }: Row): string {
  const whole = trials.filter(({ finished }) => finished)
  const pauses = whole.flatMap(({ pauseMs }) => pauseMs ?? [])
  const cells = [
    method,
    route,
    `${temperature}${seeded ? ', with a seed' : ''}`,
    trials.length,
    share(whole.length, trials.length),
    share(whole.filter(({ same }) => same).length, trials.length),
    pauses.length === 0 ? '–' : median(pauses).toFixed(0),
  ]
  return `| ${cells.join(' | ')} |`
}

const share = (part: number, all: number): string => (all === 0 ? '–' : `${part} (${((100 * part) / all).toFixed(0)} %)`)

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
