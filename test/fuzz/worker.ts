/**
 * Tries one case after the other until it is ended from outside, or a case breaks something. In: target, seed, and a counter in shared memory
 * that says which case is being tried, so that one that never ends can be named. Out: what broke, made small.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { caseOf, check, corpusOf } from './inputs.ts'
import type { Broken, Work } from './run.ts'
import { targetOf } from './targets.ts'

const SHRINK_MS = 3000
const BATCH = 200

function failureOf(bytes: Buffer): string | undefined {
  try {
    check(target, bytes)
    return undefined
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error)
  }
}

/** Leaves out pieces, ever smaller ones, while it still breaks. */
function shrunk(input: Buffer): Buffer {
  const untilMs = performance.now() + SHRINK_MS
  let bytes = input
  for (let size = bytes.length >> 1; size > 0 && performance.now() < untilMs; size >>= 1)
    for (let at = 0; at < bytes.length && performance.now() < untilMs; ) {
      const without = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + size)])
      if (failureOf(without) === undefined) at += size
      else bytes = without
    }
  return bytes
}

function tryBatch(from: number): void {
  for (let number = from; number < from + BATCH; number++) {
    Atomics.store(counter, 0, number)
    const bytes = caseOf(target, corpus, seed, number)
    if (failureOf(bytes) === undefined) continue
    const small = shrunk(bytes)
    const broken: Broken = { number, bytes: small, why: failureOf(small) ?? '' }
    parentPort?.postMessage(broken)
    return
  }
  setImmediate(() => tryBatch(from + BATCH))
}

const { name, seed, counter }: Work = workerData
const target = targetOf(name)
const corpus = corpusOf(target)
tryBatch(0)
