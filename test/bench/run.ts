/**
 * `node test/bench/run.ts [--quick] [--bundle FILE]`: measures a direct connection, nginx and our proxy in one run and writes
 * docs/benchmarks.md. Linux with two cores; gcc and nginx (scripts/fetch-tools.ts) are needed. Takes about five minutes.
 * `--quick` is a smoke run of one short round: it prints and writes nothing. Missed gates are written down; only a failed run exits 1.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fetchTools, NGINX } from '../../scripts/fetch-tools.ts'
import { type Figures, lowest } from './figures.ts'
import { type Ground, OTHER_CORE, prepareGround } from './ground.ts'
import { measureAtFullLoad, measureAtRate, measureStreams } from './measure.ts'
import { type Machine, report } from './report.ts'
import { withFirstPart } from './sections.ts'
import { direct, type Subject, startNginx, startProxy } from './subjects.ts'

const ROOT = join(import.meta.dirname, '..', '..')

interface Effort {
  readonly rounds: number
  readonly seconds: number
  readonly starts: number
}

const FULL: Effort = { rounds: 3, seconds: 4, starts: 5 }
const QUICK: Effort = { rounds: 1, seconds: 1, starts: 1 }

const DOCUMENT = join(ROOT, 'docs/benchmarks.md')

async function bench(quick: boolean, bundle: string): Promise<void> {
  const effort = quick ? QUICK : FULL
  if (!existsSync(bundle)) throw new Error(`${bundle} is not there: run make bundle first`)
  await fetchTools(say)
  execFileSync('taskset', ['-a', '-c', '-p', String(OTHER_CORE), String(process.pid)])
  const ground = await prepareGround()
  try {
    const text = report(await measureAll(ground, bundle, effort), machine(), effort.rounds)
    if (quick) console.log(text)
    else writeFileSync(DOCUMENT, withFirstPart(readFileSync(DOCUMENT, 'utf8'), text))
  } finally {
    await ground.close()
  }
}

async function measureAll(ground: Ground, bundle: string, effort: Effort): Promise<Parameters<typeof report>[0]> {
  const rounds: Record<'direct' | 'nginx' | 'proxy', Figures[]> = { direct: [], nginx: [], proxy: [] }
  const starts = await measureStarts(ground, bundle, effort.starts)
  for (let round = 1; round <= effort.rounds; round++) {
    rounds.direct.push(await turn(`round ${round}: direct`, ground, async () => direct(ground), effort))
    rounds.nginx.push(await turn(`round ${round}: nginx`, ground, () => startNginx(ground), effort))
    rounds.proxy.push(await turn(`round ${round}: llama-swap`, ground, () => startProxy(ground, bundle), effort))
  }
  return { direct: lowest(rounds.direct), nginx: lowest(rounds.nginx), proxy: lowest(rounds.proxy), ...starts }
}

async function measureStarts(ground: Ground, bundle: string, starts: number): Promise<{ listeningMs: number; readyMs: number }> {
  let [listeningMs, readyMs] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let i = 0; i < starts; i++) {
    const started = await startProxy(ground, bundle)
    listeningMs = Math.min(listeningMs, started.listeningMs)
    readyMs = Math.min(readyMs, started.readyMs)
    await started.stop()
  }
  return { listeningMs, readyMs }
}

/** All figures of one subject. Memory at 1,000 streams is that of a process that has done nothing else. */
async function turn(name: string, ground: Ground, start: () => Promise<Subject>, { seconds }: Effort): Promise<Figures> {
  const figures = {
    ...(await withSubject(start, (subject) => measureLoads(ground, subject, seconds))),
    streamsMb: await withSubject(start, async (subject) => (await measureStreams(ground, subject, 'manyStreams', 1000, 2)).peakMb),
  }
  say(`${name} ${JSON.stringify(figures, (_, value) => (typeof value === 'number' ? Number(value.toFixed(1)) : value))}`)
  return figures
}

async function withSubject<T>(start: () => Promise<Subject>, use: (subject: Subject) => Promise<T>): Promise<T> {
  const subject = await start()
  try {
    return await use(subject)
  } finally {
    await subject.stop()
  }
}

/** The first load only warms the subject up. */
async function measureLoads(ground: Ground, subject: Subject, seconds: number): Promise<Omit<Figures, 'streamsMb'>> {
  await measureAtFullLoad(ground, subject, 'unary1k', seconds)
  const small = await measureAtFullLoad(ground, subject, 'unary1k', seconds)
  const large = await measureAtFullLoad(ground, subject, 'unary64k', seconds)
  const paced = await measureAtRate(ground, subject, 'unary1k', 1000, seconds)
  const streams = await measureStreams(ground, subject, 'streams', 100, seconds)
  return {
    cpu1k: small.cpuMicrosPerRequest,
    cpu64k: large.cpuMicrosPerRequest,
    cpu1kAtRate: paced.cpuMicrosPerRequest,
    cpuEvent: streams.cpuMicrosPerEvent,
    p50: paced.p50Micros,
    p99: paced.p99Micros,
    eventP50: streams.p50Micros,
    eventP99: streams.p99Micros,
    otherLoadsMb: Math.max(small.peakMb, large.peakMb, paced.peakMb, streams.peakMb),
  }
}

function machine(): Machine {
  const version = execFileSync('sh', ['-c', '"$1" -v 2>&1', 'sh', NGINX]).toString()
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: cpus().length,
    kernel: release(),
    node: process.versions.node,
    nginx: /nginx\/([\d.]+)/.exec(version)?.[1] ?? 'unknown',
    date: new Date().toISOString().slice(0, 10),
  }
}

function say(line: string): void {
  console.error(`bench: ${line}`)
}

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false }, bundle: { type: 'string' } } })
try {
  await bench(values.quick, values.bundle ?? join(ROOT, 'dist/proxy.mjs'))
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
