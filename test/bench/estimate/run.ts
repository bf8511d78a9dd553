/**
 * `node test/bench/estimate/run.ts [--write] [--rehash]`: by how much estimates of prompts are off, against a real engine with a real small
 * model and against a second tokenizer. Prints the tables; `--write` puts them into docs/benchmarks.md, `--rehash` takes today's texts as the
 * known ones. Exits with 1 where the gate is missed. Takes two minutes.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { isJson, type Json } from '../../../proxy/dialects/json.ts'
import { freshCalibration, learnTokens, tokensBy } from '../../../proxy/estimate/calibration.ts'
import { noParts, type Prompt, promptOf } from '../../../proxy/estimate/prompt.ts'
import { fetchEngine } from '../../../scripts/fetch-engine.ts'
import { type RunningEngine, startEngine } from '../../support/engine/engine.ts'
import { withEstimates } from '../sections.ts'
import { buildCorpus, type Sample } from './corpus.ts'
import { fetchTexts, secondTokenizer } from './fetch.ts'
import { knownOf, writeHashes } from './hashes.ts'
import type { Counted } from './measure.ts'
import { estimateReport, type Measured, missedGate } from './report.ts'

const DOCUMENT = join(import.meta.dirname, '..', '..', '..', 'docs/benchmarks.md')
const say = (line: string): void => console.error(`bench-estimate: ${line}`)

async function post(engine: RunningEngine, path: string, body: object): Promise<Json> {
  const answer = await fetch(engine.url + path, { method: 'POST', body: JSON.stringify(body) })
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`)
  const read: unknown = await answer.json()
  if (!isJson(read)) throw new Error(`${path} answered with no object`)
  return read
}

async function tokensOf(engine: RunningEngine, text: string, more: object = {}): Promise<number> {
  const { tokens } = await post(engine, '/tokenize', { content: text, ...more })
  if (!Array.isArray(tokens)) throw new Error('/tokenize gave no tokens')
  return tokens.length
}

async function counted(
  samples: readonly Sample[],
  partsOf: (text: string, index: number) => readonly string[],
  count: (parts: readonly string[]) => Promise<number> | number,
  messages: boolean,
): Promise<Counted[]> {
  const found: Counted[] = []
  for (const [index, { kind, part, text }] of samples.entries()) {
    const texts = [...partsOf(text, index)]
    const prompt = promptOf({ ...noParts(), texts, messages: messages ? texts.length : 0 })
    found.push({ kind, part, characters: text.length, prompt, tokens: await count(texts) })
  }
  return found
}

/** One to six of about the same length. */
function messagesOf(text: string, index: number): string[] {
  const size = Math.ceil(text.length / (1 + (index % 6)))
  return (text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []).map((message) => message.toWellFormed())
}

const conversation = (texts: readonly string[]): object[] =>
  texts.map((content, at) => ({ role: at % 2 === 0 ? 'user' : 'assistant', content }))

async function templated(engine: RunningEngine, texts: readonly string[]): Promise<number> {
  const { prompt } = await post(engine, '/apply-template', { messages: conversation(texts) })
  return tokensOf(engine, String(prompt), { parse_special: true, add_special: true })
}

/** What is counted here must be what the engine reports for a request. */
async function compareUsage(engine: RunningEngine, samples: readonly Sample[]): Promise<void> {
  for (const { text } of samples.filter(({ text: { length } }) => length < 400).slice(0, 5)) {
    const { usage } = await post(engine, '/v1/chat/completions', { messages: conversation([text]), max_tokens: 1 })
    const own = await templated(engine, [text])
    const reported = typeof usage === 'object' && usage !== null && 'prompt_tokens' in usage ? usage.prompt_tokens : undefined
    if (own !== reported) throw new Error(`The engine reports ${String(reported)} tokens of a prompt of ${own}.`)
  }
}

/** Of what `once` does, at best of many rounds. */
function fastestMicros(once: () => void, times: number): number {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < 40; round++) {
    const startMs = performance.now()
    for (let time = 0; time < times; time++) once()
    best = Math.min(best, ((performance.now() - startMs) * 1000) / times)
  }
  return best
}

let sink = 0
const use = (prompt: Prompt): void => {
  sink += prompt.plainTokens
}

function speeds(samples: readonly Sample[]): (readonly [string, string])[] {
  const whole = samples.map(({ text }) => text).join('\n')
  const textOf = (characters: number): string => Buffer.from(whole.slice(0, characters)).toString()
  const ofSize = (characters: number, times: number): string => {
    const text = textOf(characters)
    return `${fastestMicros(() => use(promptOf({ ...noParts(), texts: [text] })), times).toFixed(1)} µs`
  }
  const prompt = promptOf({ ...noParts(), texts: [textOf(2000)] })
  const calibration = freshCalibration()
  const learning = fastestMicros(() => learnTokens(calibration, prompt, Math.round(prompt.plainTokens)), 200)
  const asking = fastestMicros(() => {
    sink += tokensBy(calibration, prompt)
  }, 2000)
  return [
    ['a prompt of 300 characters, read', ofSize(300, 500)],
    ['of 1,000', ofSize(1000, 300)],
    ['of 65,536', ofSize(65_536, 10)],
    ['of 1,048,576 (evenly spread blocks of it)', ofSize(1_048_576, 4)],
    ["a model's estimate of a prompt that has been read", `${asking.toFixed(2)} µs`],
    ['an answer, learnt', `${learning.toFixed(1)} µs`],
  ]
}

async function measure(all: readonly Sample[]): Promise<Measured> {
  const samples = knownOf(all)
  const second = await secondTokenizer()
  const engine = await startEngine({ model: 'smollm2' })
  try {
    await compareUsage(engine, samples)
    say(`${samples.length} texts`)
    const one = (text: string): string[] => [text]
    return {
      ground: `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Linux ${release()}, Node ${process.versions.node}, ${new Date().toISOString().slice(0, 10)}.`,
      engine: await counted(samples, one, ([text = '']) => tokensOf(engine, text), false),
      conversations: await counted(samples, messagesOf, (texts) => templated(engine, texts), true),
      second: await counted(samples, one, ([text = '']) => second(text), false),
      speeds: speeds(samples),
      missing: all.length - samples.length,
    }
  } finally {
    await engine.close()
  }
}

const { values } = parseArgs({ options: { write: { type: 'boolean', default: false }, rehash: { type: 'boolean', default: false } } })
await fetchEngine(say)
await fetchTexts(say)
const all = buildCorpus()
if (values.rehash) writeHashes(all)
const measured = await measure(all)
const text = estimateReport(measured)
if (values.write) writeFileSync(DOCUMENT, withEstimates(readFileSync(DOCUMENT, 'utf8'), text))
console.log(text)
if (missedGate(measured).length > 0 || Number.isNaN(sink)) process.exitCode = 1
