/**
 * `node test/bench/affinity/run.ts [--write]`: three real llama-servers with a small model, one model with them as its endpoints, and conversations
 * of several turns over long system prompts. In: a loadBalancing strategy at a time, the same conversations. Out: what share of all prompt
 * tokens the engines had in their caches, and how long first tokens took. Engines and proxy start anew for each strategy.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EndpointStrategy } from '../../../proxy/routing-table/v1.ts'
import { type RunningEngine, startEngine } from '../../support/engine/engine.ts'
import { startProxy } from '../../support/proxy.ts'
import { makeTable } from '../../support/table.ts'
import { withAffinity } from '../sections.ts'

const STRATEGIES: readonly EndpointStrategy[] = ['PowerOfTwo', 'PrefixHash', 'Session']
const ENGINES = 3
const SLOTS = 4
/** Each slot keeps the last conversation that it served. */
const CONVERSATIONS = 12
const TURNS = 4
const AT_ONCE = 3
const ANSWER_TOKENS = 16
const CONTEXT_TOKENS = 8192
/** Four system prompts, each shared by three conversations; some 400 tokens. */
const SYSTEMS = ['harbours', 'orchards', 'railways', 'glaciers'].map((topic) =>
  Array.from({ length: 24 }, (_, at) => `Rule ${at + 1}: speak of ${topic} plainly, and say no more than was asked.`).join(' '),
)

interface Turn {
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly firstTokenMs: number
  readonly endpoint: string
}

interface Message {
  readonly role: 'system' | 'user' | 'assistant'
  readonly content: string
}

async function ask(url: string, messages: readonly Message[]): Promise<Turn & { readonly text: string }> {
  const startMs = performance.now()
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'small',
      messages,
      max_tokens: ANSWER_TOKENS,
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    }),
  })
  if (!response.ok || response.body === null) throw new Error(`${response.status} ${await response.text()}`)
  const endpoint = response.headers.get('x-llama-swap-endpoint') ?? ''
  let [text, raw, firstTokenMs] = ['', '', Number.NaN]
  for await (const bytes of response.body.pipeThrough(new TextDecoderStream())) {
    raw += bytes
    if (Number.isNaN(firstTokenMs) && raw.includes('"content":"')) firstTokenMs = performance.now() - startMs
  }
  let [promptTokens, cachedTokens] = [0, 0]
  for (const line of raw.split('\n')) {
    if (!line.startsWith('data: {')) continue
    const event: {
      choices?: { delta?: { content?: string } }[]
      usage?: { prompt_tokens: number; prompt_tokens_details?: { cached_tokens?: number } }
    } = JSON.parse(line.slice('data: '.length))
    text += event.choices?.[0]?.delta?.content ?? ''
    promptTokens = event.usage?.prompt_tokens ?? promptTokens
    cachedTokens = event.usage?.prompt_tokens_details?.cached_tokens ?? cachedTokens
  }
  return { text, promptTokens, cachedTokens, firstTokenMs, endpoint }
}

async function conversation(url: string, at: number): Promise<readonly Turn[]> {
  const turns: Turn[] = []
  let messages: readonly Message[] = [
    { role: 'system', content: SYSTEMS[at % SYSTEMS.length] ?? '' },
    { role: 'user', content: `I am guest ${at}. What should I know first?` },
  ]
  for (let turn = 0; turn < TURNS; turn++) {
    const { text, ...seen } = await ask(url, messages)
    turns.push(seen)
    messages = [
      ...messages,
      { role: 'assistant', content: text },
      { role: 'user', content: `And what of point ${turn + 2}, for guest ${at}?` },
    ]
  }
  return turns
}

/** A few at a time, in the same order for every strategy. */
async function conversations(url: string): Promise<readonly (readonly Turn[])[]> {
  const done: (readonly Turn[])[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    for (let at = next++; at < CONVERSATIONS; at = next++) done[at] = await conversation(url, at)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return done
}

interface Measured {
  readonly strategy: EndpointStrategy
  readonly cachedPercent: number
  readonly stayedPercent: number
  readonly firstTokenMs: { readonly p50: number; readonly p95: number }
}

async function measure(loadBalancing: EndpointStrategy): Promise<Measured> {
  const engines: RunningEngine[] = []
  for (let at = 0; at < ENGINES; at++)
    engines.push(await startEngine({ model: 'smollm2', slots: SLOTS, contextTokens: CONTEXT_TOKENS, alias: 'small' }))
  const table = makeTable({
    models: { small: { loadBalancing, backends: [{ url: engines.map(({ url }) => url), engine: 'LlamaCpp', probed: true }] } },
  })
  const proxy = await startProxy(table)
  try {
    return summed(loadBalancing, await conversations(proxy.url))
  } finally {
    await proxy.close()
    await Promise.all(engines.map((engine) => engine.close()))
  }
}

function summed(strategy: EndpointStrategy, all: readonly (readonly Turn[])[]): Measured {
  const turns = all.flat()
  const sum = (of: (turn: Turn) => number): number => turns.reduce((total, turn) => total + of(turn), 0)
  const later = all.flatMap((one) => one.slice(1).map((turn, at) => turn.endpoint === one[at]?.endpoint))
  const times = turns.map(({ firstTokenMs }) => firstTokenMs).sort((a, b) => a - b)
  const percentile = (percent: number): number =>
    times[Math.min(times.length - 1, Math.floor((times.length * percent) / 100))] ?? Number.NaN
  return {
    strategy,
    cachedPercent: (100 * sum((turn) => turn.cachedTokens)) / sum((turn) => turn.promptTokens),
    stayedPercent: (100 * later.filter(Boolean).length) / later.length,
    firstTokenMs: { p50: percentile(50), p95: percentile(95) },
  }
}

const results: Measured[] = []
for (const strategy of STRATEGIES) {
  const result = await measure(strategy)
  results.push(result)
  console.log(JSON.stringify(result))
}
const rows = results.map(
  ({ strategy, cachedPercent, stayedPercent, firstTokenMs }) =>
    `| ${strategy} | ${cachedPercent.toFixed(0)} | ${stayedPercent.toFixed(0)} | ${firstTokenMs.p50.toFixed(0)} / ${firstTokenMs.p95.toFixed(0)} |`,
)
const text = [
  `Written by \`make bench-affinity\`. ${ENGINES} real llama-servers with a small model and ${SLOTS} slots each, ${CONVERSATIONS} conversations of ${TURNS} turns, ${AT_ONCE} at a time, over ${SYSTEMS.length} system prompts of about 400 tokens.`,
  '',
  '| `loadBalancing` | prompt tokens out of the cache, per cent | turns at the endpoint of the turn before, per cent | first token, p50 / p95, ms |',
  '|---|---|---|---|',
  ...rows,
].join('\n')
console.log(text)
if (process.argv.includes('--write')) {
  const file = join(import.meta.dirname, '..', '..', '..', 'docs', 'benchmarks.md')
  writeFileSync(file, withAffinity(readFileSync(file, 'utf8'), text))
}
