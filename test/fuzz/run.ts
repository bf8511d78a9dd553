/**
 * `make fuzz`: throws changed inputs at everything that reads what comes from outside. FUZZ_SECONDS (60) for all targets together, FUZZ_SEED
 * (random, printed) to do it again, FUZZ_TARGET for one. A case that crashes, breaks a promise or does not end is made small, written to
 * `found/`, and is a test from then on; exit code 1.
 */
import { Worker } from 'node:worker_threads'
import { caseOf, corpusOf, keep } from './inputs.ts'
import type { Target } from './target.ts'
import { TARGETS, targetOf } from './targets.ts'

export interface Work {
  readonly name: string
  readonly seed: number
  /** [0]: the case that is being tried. */
  readonly counter: Int32Array<SharedArrayBuffer>
}

export interface Broken {
  readonly number: number
  readonly bytes: Uint8Array
  readonly why: string
}

/** A case takes microseconds; one that stands still for so long does not end. */
const HANG_MS = 10_000
const LOOK_MS = 250

interface Tried {
  readonly cases: number
  readonly broken: Broken | undefined
}

async function tryTarget(target: Target, seed: number, forMs: number): Promise<Tried> {
  const counter = new Int32Array(new SharedArrayBuffer(4))
  counter[0] = -1
  const work: Work = { name: target.name, seed, counter }
  const worker = new Worker(new URL('worker.ts', import.meta.url), { workerData: work })
  try {
    return await watch({ target, seed, forMs, counter, worker })
  } finally {
    await worker.terminate()
  }
}

function watch({
  target,
  seed,
  forMs,
  counter,
  worker,
}: Omit<Work, 'name'> & { target: Target; forMs: number; worker: Worker }): Promise<Tried> {
  return new Promise((resolve, reject) => {
    let at = -1
    let sinceMs = performance.now()
    let startMs: number | undefined
    const end = (broken: Broken | undefined): void => {
      clearInterval(timer)
      resolve({ cases: Math.max(0, Atomics.load(counter, 0)), broken })
    }
    const look = (): void => {
      const nowMs = performance.now()
      const number = Atomics.load(counter, 0)
      if (number >= 0) startMs ??= nowMs
      if (number !== at) {
        at = number
        sinceMs = nowMs
      } else if (nowMs - sinceMs > HANG_MS) end({ number, bytes: caseOf(target, corpusOf(target), seed, number), why: 'It does not end.' })
      if (startMs !== undefined && nowMs - startMs >= forMs && nowMs - sinceMs < LOOK_MS) end(undefined)
    }
    const timer = setInterval(look, LOOK_MS)
    worker.on('message', (broken: Broken) => end(broken))
    worker.on('error', (error) => {
      clearInterval(timer)
      reject(error)
    })
  })
}

async function main(): Promise<void> {
  const { FUZZ_SECONDS = '60', FUZZ_SEED = String(Math.floor(Math.random() * 2 ** 31)), FUZZ_TARGET } = process.env
  const targets = FUZZ_TARGET === undefined ? TARGETS : [targetOf(FUZZ_TARGET)]
  const forMs = (Number(FUZZ_SECONDS) * 1000) / targets.length
  process.stdout.write(`FUZZ_SEED=${FUZZ_SEED}\n`)
  for (const target of targets) {
    const { cases, broken } = await tryTarget(target, Number(FUZZ_SEED), forMs)
    process.stdout.write(`${target.name.padEnd(10)} ${String(cases).padStart(9)} cases${broken === undefined ? '' : '  BROKEN'}\n`)
    if (broken === undefined) continue
    process.exitCode = 1
    process.stdout.write(`case ${broken.number}, kept as ${keep(target, Buffer.from(broken.bytes))}\n${broken.why}\n`)
  }
}

if (import.meta.main) await main()
