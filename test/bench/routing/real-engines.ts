/**
 * Real llama-servers with a real small model, of different slots (`-np`) and threads, behind a real proxy: Adaptive against round robin.
 * They share this machine's cores, so that each is as fast as the others leave it; strategies therefore take turns.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { type RunningEngine, startEngine } from '../../support/engine/engine.ts'
import { eventually } from '../../support/eventually.ts'
import { startProxy } from '../../support/proxy.ts'
import { makeTable } from '../../support/table.ts'
import { type Asker, makeAsker, promptOf } from './asker.ts'
import { type Outcome, outcomeOf, type Served } from './outcome.ts'
import type { Lengths } from './scenario.ts'
import { engineOf } from './sockets.ts'
import { diceOf, jobsOf, type Request } from './workload.ts'

export const REAL_ENGINES = [
  { slots: 4, threads: 2 },
  { slots: 2, threads: 1 },
  { slots: 1, threads: 1 },
] as const
export const REAL_STRATEGIES = ['Adaptive', 'WeightedRoundRobin', 'LeastLoad'] as const
export const REAL_LOAD = 0.7
export const REAL_SECONDS = 60
export const REAL_ROUNDS = 2
export const REAL_PROMPTS: Lengths = { median: 60, sigma: 0.8, least: 8, most: 400 }
export const REAL_OUTPUTS: Lengths = { median: 40, sigma: 0.6, least: 8, most: 160 }
/** Requests at once, and for how long, to find out what all engines can do. */
const SATURATED = { requests: 8, seconds: 20 } as const
const DRAIN_MS = 20_000

export interface RealResults {
  /** Requests a second that ended while requests were always there. */
  readonly perSecond: number
  readonly byName: ReadonlyMap<string, readonly Outcome[]>
}

type Strategy = (typeof REAL_STRATEGIES)[number]

export async function runRealEngines(say: (line: string) => void): Promise<RealResults> {
  const engines: RunningEngine[] = []
  try {
    for (const { slots, threads } of REAL_ENGINES)
      engines.push(
        await startEngine({
          model: 'smollm2',
          alias: 'auto',
          slots,
          contextTokens: slots * 1024,
          extraArgs: ['-t', `${threads}`, '-tb', `${threads}`],
        }),
      )
    const perSecond = await withProxy(engines, 'LeastLoad', saturated)
    say(`real engines: ${perSecond.toFixed(2)} requests a second at most`)
    const byName = new Map<string, Outcome[]>(REAL_STRATEGIES.map((name) => [name, []]))
    for (let round = 1; round <= REAL_ROUNDS; round++) {
      for (const strategy of REAL_STRATEGIES) {
        const served = await withProxy(engines, strategy, (url, asker) =>
          paced(url, asker, { perSecond: perSecond * REAL_LOAD, seed: round }),
        )
        const outcome = outcomeOf(served, { cutAt: REAL_SECONDS, recoversAt: REAL_SECONDS, endsAt: REAL_SECONDS }, REAL_ENGINES.length)
        byName.get(strategy)?.push(outcome)
        say(`real engines, round ${round}: ${strategy} ${(outcome.goodput * 100).toFixed(1)} %`)
      }
    }
    return { perSecond, byName }
  } finally {
    await Promise.all(engines.map((engine) => engine.close()))
  }
}

async function withProxy<T>(
  engines: readonly RunningEngine[],
  strategy: Strategy,
  use: (url: string, asker: Asker) => Promise<T>,
): Promise<T> {
  const models = Object.fromEntries(
    engines.map(({ url }, at) => [`m${at}`, { backends: [{ url, engine: 'Auto' as const, probed: true, upstreamModel: 'auto' }] }]),
  )
  const proxy = await startProxy(makeTable({ models, policies: { auto: { strategy, targets: Object.keys(models), fallback: {} } } }))
  const asker = makeAsker({ engineOf, bodyOf: bodyForReal, tokenAnEvent: true })
  try {
    await eventually(async () => {
      const text = await (await fetch(`${proxy.adminUrl}/debug/endpoints`)).text()
      if (text.split('"LlamaCpp"').length - 1 < engines.length) throw new Error(`engines are not recognised: ${text}`)
    })
    return await use(proxy.url, asker)
  } finally {
    asker.close()
    await proxy.program.close()
  }
}

const bodyForReal = ({ promptTokens, outputTokens }: Request): Buffer =>
  Buffer.from(
    JSON.stringify({
      model: 'auto',
      stream: true,
      max_tokens: outputTokens,
      ignore_eos: true,
      messages: [{ role: 'user', content: `Go on with this for long: ${promptOf(promptTokens)}` }],
    }),
  )

/** Always as many requests at once. */
async function saturated(url: string, asker: Asker): Promise<number> {
  const jobs = jobsOf(diceOf(0, 'real'), REAL_PROMPTS, REAL_OUTPUTS)
  const startMs = performance.now()
  let ended = 0
  const client = async (): Promise<void> => {
    while (performance.now() - startMs < SATURATED.seconds * 1000) {
      const { endMs } = await asker.ask(url, { ...jobs(), atMs: 0, proxy: 0 }, startMs)
      if (endMs !== undefined && endMs <= SATURATED.seconds * 1000) ended++
    }
  }
  await Promise.all(Array.from({ length: SATURATED.requests }, client))
  return ended / SATURATED.seconds
}

async function paced(url: string, asker: Asker, { perSecond, seed }: { perSecond: number; seed: number }): Promise<readonly Served[]> {
  const [dice, jobs] = [diceOf(seed, 'real times'), jobsOf(diceOf(seed, 'real'), REAL_PROMPTS, REAL_OUTPUTS)]
  const startMs = performance.now()
  const answers: Promise<Served>[] = []
  let open = 0
  for (let atMs = 0; atMs < REAL_SECONDS * 1000; atMs += (-Math.log(1 - dice()) * 1000) / perSecond) {
    await delay(Math.max(0, startMs + atMs - performance.now()))
    open++
    answers.push(asker.ask(url, { ...jobs(), atMs, proxy: 0 }, startMs).finally(() => open--))
  }
  const endMs = performance.now() + DRAIN_MS
  while (open > 0 && performance.now() < endMs) await delay(100)
  asker.close()
  return await Promise.all(answers)
}
