/** The engines of a run in virtual time: steps begin and end, one of them is cut and recovers. Told of each token. */
import { EngineModel, type Job } from './engine-model.ts'
import { EventQueue } from './event-queue.ts'
import { CUT, ENGINE, SPEEDS, type Timeline } from './scenario.ts'

export interface Told<T extends Job> {
  token(job: T, number: number, nowMs: number): void
  /** An engine has ended a step and is about to begin the next one. */
  stepped?(): void
}

export class Fleet<T extends Job> {
  readonly queue = new EventQueue()
  readonly engines: readonly EngineModel<T>[] = SPEEDS.map((speed) => new EngineModel<T>(ENGINE, speed))
  readonly speeds = [...SPEEDS]
  readonly #busy = SPEEDS.map(() => false)
  readonly #told: Told<T>

  constructor({ cutAt, recoversAt }: Timeline, told: Told<T>) {
    this.#told = told
    const full = SPEEDS[CUT.engine] ?? 1
    this.queue.add(cutAt * 1000, () => this.#setSpeed(CUT.engine, full * CUT.speed))
    this.queue.add(recoversAt * 1000, () => this.#setSpeed(CUT.engine, full))
  }

  add(engine: number, job: T): void {
    this.engines[engine]?.add(job)
    if (this.#busy[engine] === false) this.#begin(engine)
  }

  #setSpeed(engine: number, speed: number): void {
    this.speeds[engine] = speed
    this.engines[engine]?.setSpeed(speed)
  }

  #begin(engine: number): void {
    const tookMs = this.engines[engine]?.begin()
    this.#busy[engine] = tookMs !== undefined
    if (tookMs !== undefined) this.queue.add(this.queue.nowMs + tookMs, () => this.#finish(engine))
  }

  #finish(engine: number): void {
    for (const { job, number } of this.engines[engine]?.finish() ?? []) this.#told.token(job, number, this.queue.nowMs)
    this.#told.stepped?.()
    this.#begin(engine)
  }
}
