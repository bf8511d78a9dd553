/**
 * `make soak`: a real proxy under mixed load for SOAK_MINUTES (30), with backends that misbehave and tables that change. SOAK_SEED repeats
 * what is asked and what is done to it. Says every ten seconds how the proxy is; exit code 1 when an answer is not explained by what the
 * backends did, or memory, descriptors or counters do not come back. `--write` puts the result into docs/benchmarks.md.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { withSoak } from '../bench/sections.ts'
import { Dice } from '../support/dice.ts'
import { ROOT } from '../support/program.ts'
import { Clients } from './clients.ts'
import { type SoakedProxy, startBackends, startProxy } from './proxy.ts'
import { type Sample, sampleOf } from './samples.ts'
import { PORTS, tableOf } from './tables.ts'
import { brokenBounds, reportOf, type Soaked, sampleLine } from './verdict.ts'

const SAMPLE_MS = 10_000
const TABLE_MS = 3000
/** Two cores, one of them for all but the proxy. */
const CLIENTS = 24
const PAUSE_MS = 100
/** Longer than connections of a pool stay open without a request, and than the longest stall. */
const QUIET_MS = 12_000

const say = (text: string): void => void process.stdout.write(`${text}\n`)

const sample = async (proxy: SoakedProxy): Promise<Sample> => sampleOf(await proxy.metrics(), performance.now(), proxy.descriptors())

/** Resolves at once, or does the work again and again until the signal aborts. */
async function repeat(everyMs: number, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await delay(everyMs, undefined, { signal }).catch(() => undefined)
    if (!signal.aborted) await work()
  }
}

async function soak(minutes: number, seed: number): Promise<Soaked> {
  const dice = new Dice(seed)
  const backends = await startBackends(PORTS)
  let tables = 1
  const proxy = await startProxy(tableOf(tables, backends.ports, dice))
  try {
    const before = await sample(proxy)
    const startMs = performance.now()
    const stop = AbortSignal.timeout(minutes * 60_000)
    const clients = new Clients({ port: proxy.port, seed, clients: CLIENTS, pauseMs: PAUSE_MS })
    const samples: Sample[] = []
    let told = 0
    const looking = repeat(SAMPLE_MS, stop, async () => {
      const now = await sample(proxy)
      samples.push(now)
      say(sampleLine(now, startMs))
      const { examples } = clients.findings()
      for (; told < examples.length; told++) say(`UNEXPLAINED ${examples[told]}`)
    })
    await repeat(TABLE_MS, stop, async () => proxy.push(tableOf(++tables, backends.ports, dice)))
    await looking
    await clients.close()
    await delay(QUIET_MS)
    const after = await sample(proxy)
    say(`${sampleLine(after, startMs)}  after`)
    return { minutes, seed, tables, before, after, samples, findings: clients.findings(), errors: proxy.errors, ended: proxy.ended }
  } finally {
    await proxy.close()
    await backends.close()
  }
}

const { SOAK_MINUTES = '30', SOAK_SEED = String(Math.floor(Math.random() * 2 ** 31)) } = process.env
say(`SOAK_SEED=${SOAK_SEED}`)
const soaked = await soak(Number(SOAK_MINUTES), Number(SOAK_SEED))
const machine = `${cpus()[0]?.model ?? 'a machine'}, ${cpus().length} cores, Linux ${release()}, Node ${process.versions.node}, ${new Date().toISOString().slice(0, 10)}`
const report = reportOf(soaked, machine)
say(`\n${report}\n`)
const broken = brokenBounds(soaked)
for (const says of broken) say(`BROKEN: ${says}`)
if (broken.length > 0) process.exitCode = 1
else if (process.argv.includes('--write')) {
  const file = join(ROOT, 'docs/benchmarks.md')
  writeFileSync(file, withSoak(readFileSync(file, 'utf8'), report))
}
