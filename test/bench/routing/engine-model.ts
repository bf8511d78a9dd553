/**
 * An engine with continuous batching, as vLLM schedules with chunked prefill. In: jobs, and the word that a step is over. Out: how long the
 * next step takes, and which tokens it has given. PURE: no clock; the owner lets time pass, virtual or real.
 */
import type { EngineShape } from './scenario.ts'

export interface Job {
  readonly promptTokens: number
  /** At least one. */
  readonly outputTokens: number
}

interface Sequence<T extends Job> {
  readonly job: T
  unread: number
  written: number
  /** Prompt tokens that the step under way reads. */
  reads: number
}

/** One token of one job. */
export interface Token<T extends Job> {
  readonly job: T
  /** From 1 to `outputTokens`. */
  readonly number: number
}

/** Owner of the queue and the batch. Each step is begun, takes its time, and is finished; jobs may come and go at any time. */
export class EngineModel<T extends Job> {
  readonly #shape: EngineShape
  readonly #waiting: T[] = []
  #batch: Sequence<T>[] = []
  #writers: Sequence<T>[] = []
  #speed: number

  constructor(shape: EngineShape, speed: number) {
    this.#shape = shape
    this.#speed = speed
  }

  get running(): number {
    return this.#batch.length
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** From the next step on. */
  setSpeed(speed: number): void {
    this.#speed = speed
  }

  add(job: T): void {
    this.#waiting.push(job)
  }

  /** Its client has left: it gets no more tokens. */
  remove(job: T): void {
    const at = this.#waiting.indexOf(job)
    if (at >= 0) this.#waiting.splice(at, 1)
    this.#batch = this.#batch.filter((sequence) => sequence.job !== job)
    this.#writers = this.#writers.filter((sequence) => sequence.job !== job)
  }

  /** Begins a step. Answers with how long it takes; undefined = there is nothing to do. */
  begin(): number | undefined {
    this.#fill()
    if (this.#batch.length === 0) return undefined
    this.#writers = this.#batch.filter(({ unread }) => unread === 0)
    let [left, read] = [this.#shape.stepTokens - this.#writers.length, 0]
    for (const sequence of this.#batch) {
      sequence.reads = Math.min(sequence.unread, left)
      left -= sequence.reads
      read += sequence.reads
    }
    const { stepMs, sequenceMs, promptTokensPerSecond } = this.#shape
    return (stepMs + sequenceMs * this.#writers.length + (read / promptTokensPerSecond) * 1000) / this.#speed
  }

  /** The step that was begun is over: its tokens. Those whose prompt is read now have their first one too. */
  finish(): Token<T>[] {
    const tokens: Token<T>[] = []
    const write = (sequence: Sequence<T>): void => {
      sequence.written++
      tokens.push({ job: sequence.job, number: sequence.written })
    }
    for (const sequence of this.#writers) write(sequence)
    for (const sequence of this.#batch) {
      if (sequence.reads === 0) continue
      sequence.unread -= sequence.reads
      sequence.reads = 0
      if (sequence.unread === 0) write(sequence)
    }
    this.#writers = []
    if (tokens.some(({ job, number }) => number >= job.outputTokens))
      this.#batch = this.#batch.filter(({ job, written }) => written < job.outputTokens)
    return tokens
  }

  #fill(): void {
    while (this.#batch.length < this.#shape.maxBatch) {
      const job = this.#waiting.shift()
      if (job === undefined) return
      this.#batch.push({ job, unread: Math.max(1, job.promptTokens), written: 0, reads: 0 })
    }
  }
}

/** Jobs a second of an engine of speed 1 that has a full batch all the time. */
export function capacityOf(shape: EngineShape, jobs: readonly Job[]): number {
  const engine = new EngineModel(shape, 1)
  for (const job of jobs) engine.add(job)
  let [tookMs, ended] = [0, 0]
  while (engine.waiting > 0) {
    tookMs += engine.begin() ?? 0
    for (const { job, number } of engine.finish()) if (number >= job.outputTokens) ended++
  }
  return ended / (tookMs / 1000)
}
