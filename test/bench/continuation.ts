/**
 * `node test/bench/continuation.ts [--trials N] [--write]`: how often a broken stream is gone on with, on two real engines with a real small
 * model. In each trial the first engine is killed in the middle of its answer (SIGKILL, its own process) and the second has to go on.
 * Prints the figures; `--write` puts them into docs/benchmarks.md. The engine must have been fetched; takes about fifteen minutes.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ask, asking, type Read } from '../support/client.ts'
import { type RunningEngine, startEngine } from '../support/engine/engine.ts'
import { startProxy } from '../support/proxy.ts'
import { ROUTES } from '../support/routes.ts'
import { makeTable } from '../support/table.ts'
import { continuationReport, type Row, SETTINGS, type Setting, type Trial } from './continuation-report.ts'
import { withContinuation } from './sections.ts'

const DOCUMENT = join(import.meta.dirname, '..', '..', 'docs/benchmarks.md')
const MAX_TOKENS = 100
/** Some answers are over before their engine is killed. */
const MOST_TRIES = 3
const FORMS = ['Tell me a story about', 'Explain to a child what is special about', 'Write a long letter about', 'Describe in detail']
const SUBJECTS = ['a fox', 'the sea', 'a lighthouse', 'rain in the city', 'an old clock', 'a long journey', 'the moon', 'a lost letter']
const DONE = 'data: [DONE]'

const promptOf = (trial: number): string =>
  `${FORMS[trial % FORMS.length]} ${SUBJECTS[Math.floor(trial / FORMS.length) % SUBJECTS.length]}.`

/** Events after which the engine is killed: from 5 to 60, no two trials in a row alike. */
const killAfter = (trial: number): number => 5 + ((trial * 17) % 56)

const requestOf = ({ route, temperature, seeded }: Setting, trial: number, model: string): Readonly<Record<string, unknown>> => ({
  model,
  stream: true,
  temperature,
  max_tokens: MAX_TOKENS,
  ...(seeded && { seed: 1 + trial }),
  ...(route === 'chat'
    ? { messages: [{ role: 'user', content: promptOf(trial) }] }
    : { prompt: `${promptOf(trial)} Of this one could say that` }),
})

function startBetween({ method }: Setting, first: RunningEngine, second: RunningEngine): ReturnType<typeof startProxy> {
  const backend = {
    engine: 'LlamaCpp',
    capabilities: ['chat', 'completions', ...(method === 'prefix' ? (['prefixContinuation'] as const) : [])],
  } as const
  const backends = [first, second].map(({ url }, priority) => ({ ...backend, url, priority }))
  const policies = { auto: { targets: ['m'], fallback: { interrupt: 'Continue' } } } as const
  return startProxy(makeTable({ models: { m: { backends } }, policies }))
}

/** Undefined: the answer was over before its engine was killed. */
async function runTrial(setting: Setting, trial: number, second: RunningEngine): Promise<Trial | undefined> {
  const { path, textOfEvents } = ROUTES[setting.route]
  const unbroken = await ask(second.url, { path, body: requestOf(setting, trial, 'm') })
  const first = await startEngine({ model: 'smollm2', alias: 'm' })
  const proxy = await startBetween(setting, first, second)
  try {
    const client = asking(proxy.url, { path, body: requestOf(setting, trial, 'auto') })
    await client.until((body) => body.split('\n\n').length > killAfter(trial) || body.includes(DONE))
    process.kill(first.pid, 'SIGKILL')
    const atMs = Date.now()
    const { body, reads } = await client.got
    if (!body.includes('x-llama-swap-attempts')) return undefined
    const finished = body.includes(DONE) && !body.includes('"error"')
    return { finished, same: textOfEvents(body) === textOfEvents(unbroken.body), pauseMs: finished ? longestPause(reads, atMs) : undefined }
  } finally {
    await proxy.close()
    await first.close()
  }
}

const longestPause = (reads: readonly Read[], fromMs: number): number =>
  Math.max(0, ...reads.map((read, index) => (read.atMs < fromMs ? 0 : read.atMs - (reads[index - 1]?.atMs ?? read.atMs))))

async function runSetting(setting: Setting, count: number, second: RunningEngine): Promise<Row> {
  const trials: Trial[] = []
  for (let trial = 0; trials.length < count && trial < MOST_TRIES * count; trial++) {
    const done = await runTrial(setting, trial, second)
    if (done !== undefined) trials.push(done)
  }
  const whole = trials.filter(({ finished }) => finished).length
  console.error(`${JSON.stringify(setting)} ${whole} of ${trials.length}, same ${trials.filter(({ same }) => same).length}`)
  return { setting, trials }
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { trials: { type: 'string', default: '20' }, write: { type: 'boolean', default: false } } })
  const second = await startEngine({ model: 'smollm2', alias: 'm' })
  const rows: Row[] = []
  try {
    for (const setting of SETTINGS) rows.push(await runSetting(setting, Number(values.trials), second))
  } finally {
    await second.close()
  }
  const processor = cpus()[0]?.model.trim() ?? 'unknown processor'
  const text = continuationReport(rows, { processor, cores: cpus().length, date: new Date().toISOString().slice(0, 10) })
  if (values.write) writeFileSync(DOCUMENT, withContinuation(readFileSync(DOCUMENT, 'utf8'), text))
  else console.log(text)
}

await main()
