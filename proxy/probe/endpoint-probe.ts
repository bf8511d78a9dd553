/**
 * The probes of one endpoint, from its start until `stop()`: health in every tick; which engine it is and which models it has at first
 * contact, after a down period and once a minute; its signals in the same tick, or at their own interval where that differs. When its
 * circuit is open, at a time that is asked for, whether it can complete one token.
 */
import type { LookupFunction } from 'node:net'
import { buildConnector, Pool } from 'undici'
import {
  type EngineProfile,
  type HealthVerdict,
  type KnownEngine,
  type ModelFacts,
  type ProbeTarget,
  rootOf,
  USUAL,
} from '../engines/engine.ts'
import { profileOf, recogniseEngine } from '../engines/engines.ts'
import { known, parsed } from '../engines/fields.ts'
import { adaptersOf } from './adapters.ts'
import { ask, NoAnswer, type Question, type Reply } from './ask.ts'
import type { ProbeClock } from './clock.ts'
import type { Gate } from './gate.ts'
import { counted, NOTHING_KNOWN } from './health-count.ts'
import { ONE_TOKEN_TIMEOUT_MS, oneTokenFailure, oneTokenRequest } from './one-token.ts'
import type { ProbedEndpoint, ProbeReport, RetestReport } from './report.ts'

/** Models are loaded and unloaded while an engine runs. */
const MODELS_EVERY_MS = 60_000
/** Below every engine's own, so that no request meets a socket that is being closed. */
const KEEP_ALIVE_MS = 1_000

/** Which addresses may be connected to. */
export interface AddressGuard {
  /** For host names: gives only addresses that are allowed. */
  readonly lookup: LookupFunction
  /** For a host that is an address. Undefined = allowed, or a name. */
  refusal(hostname: string): Error | undefined
}

export interface ProbeContext {
  onReport(report: ProbeReport): void
  onRetest?(report: RetestReport): void
  random(): number
  clock: ProbeClock
  gate: Gate
  addresses?: AddressGuard
}

export class EndpointProbe {
  readonly #probed: ProbedEndpoint
  readonly #context: ProbeContext
  readonly #target: ProbeTarget
  readonly #timeoutMs: number
  readonly #pool: Pool
  readonly #stop = new AbortController()
  readonly #ended: Promise<unknown>
  #retest: { abort: AbortController; ended: Promise<void> } | undefined
  #engine: KnownEngine | undefined
  #count = NOTHING_KNOWN
  #modelsReadAtMs: number | undefined
  #report: ProbeReport

  constructor(probed: ProbedEndpoint, context: ProbeContext) {
    const { backend, endpoint } = probed
    const healthMs = backend.health.intervalMs ?? USUAL.health.intervalMs
    const signalsMs = backend.signals.intervalMs ?? USUAL.signals.intervalMs
    this.#probed = probed
    this.#context = context
    this.#target = targetOf(probed)
    this.#timeoutMs = backend.health.timeoutMs ?? Math.min(USUAL.health.timeoutMs, healthMs)
    this.#pool = poolFor(endpoint.origin, this.#timeoutMs, context.addresses)
    this.#engine = backend.engine === 'Auto' ? undefined : backend.engine
    this.#report = { endpointId: probed.id, atMs: 0, healthy: undefined }
    this.#ended =
      healthMs === signalsMs
        ? this.#repeat(healthMs, () => this.#tick(true))
        : Promise.all([this.#repeat(healthMs, () => this.#tick(false)), this.#repeat(signalsMs, () => this.#readSignals())])
  }

  /** Aborts what is under way; no report comes after the call. Resolves when the sockets are gone. */
  async stop(): Promise<void> {
    this.#stop.abort()
    this.#retest?.abort.abort()
    await Promise.all([this.#ended, this.#retest?.ended])
    await this.#pool.destroy()
  }

  /** Finds out after so long whether it works again, and tells. A later call takes the place of one that has not told yet. */
  retest(afterMs: number): void {
    if (this.#stop.signal.aborted) return
    this.#retest?.abort.abort()
    const abort = new AbortController()
    const before = this.#retest?.ended
    this.#retest = { abort, ended: Promise.all([before, this.#retestOnce(afterMs, abort.signal)]).then(() => {}) }
  }

  async #retestOnce(afterMs: number, signal: AbortSignal): Promise<void> {
    const { clock, gate, onRetest } = this.#context
    await clock.wait(afterMs, signal)
    await gate.run(async () => {
      const startedMs = clock.monotonicMs()
      const found = await this.#worksAgain(signal)
      if (!signal.aborted) onRetest?.({ endpointId: this.#probed.id, tookMs: clock.monotonicMs() - startedMs, ...found })
    }, signal)
  }

  async #worksAgain(signal: AbortSignal): Promise<Pick<RetestReport, 'because' | 'answered'>> {
    try {
      const profile = profileOf(this.#engine ?? (await this.#detect()))
      const health = await this.#ask(profile.healthRequest(this.#target), { signal })
      const verdict = profile.readHealth(health.status, health.body)
      if (verdict !== 'ready') return { because: reasonOf(verdict, health.status), answered: true }
      const { path, body } = oneTokenRequest(this.#probed.backend, this.#report.capabilities)
      const reply = await this.#ask(this.#target.basePath + path, { body, timeoutMs: ONE_TOKEN_TIMEOUT_MS, signal })
      return { because: oneTokenFailure(reply), answered: true }
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error
      return { because: error.message, answered: false }
    }
  }

  async #repeat(intervalMs: number, work: () => Promise<void>): Promise<void> {
    const { clock, gate, random } = this.#context
    const { signal } = this.#stop
    while (!signal.aborted) {
      const startedMs = clock.monotonicMs()
      await gate.run(work, signal)
      const jitteredMs = intervalMs * (0.8 + 0.4 * random())
      await clock.wait(Math.max(0, jitteredMs - (clock.monotonicMs() - startedMs)), signal)
    }
  }

  async #tick(withSignals: boolean): Promise<void> {
    try {
      const profile = profileOf(this.#engine ?? (await this.#detect()))
      const startedMs = this.#context.clock.monotonicMs()
      const reply = await this.#ask(profile.healthRequest(this.#target))
      const responseMs = this.#context.clock.monotonicMs() - startedMs
      const verdict = profile.readHealth(reply.status, reply.body)
      if (verdict === 'ready') await this.#readModels(profile, reply)
      this.#conclude(verdict, reasonOf(verdict, reply.status), responseMs)
      if (withSignals && verdict === 'ready') await this.#readSignals()
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error
      this.#conclude('bad', error.message)
    }
  }

  /** Three questions tell the engines apart: the model list, and the versions of LocalAI and Ollama. None touches a model. */
  async #detect(): Promise<KnownEngine> {
    const list = await this.#ask(USUAL.modelsRequest(this.#target))
    const byList = recogniseEngine({ ...list, json: parsed(list.body) })
    if (byList === undefined && list.status >= 500) throw new NoAnswer(`status ${list.status}`)
    this.#engine = byList ?? (await this.#detectByVersion()) ?? 'Generic'
    return this.#engine
  }

  /** LocalAI's comes first: it also answers Ollama's. */
  async #detectByVersion(): Promise<KnownEngine | undefined> {
    for (const path of ['/version', '/api/version']) {
      const version = await this.#ask(rootOf(this.#target.basePath) + path)
      const engine = recogniseEngine({ ...version, json: parsed(version.body) })
      if (engine !== undefined) return engine
    }
    return undefined
  }

  /** What cannot be read leaves the facts as they were: it is no sign of ill health. */
  async #readModels(profile: EngineProfile, health: Reply): Promise<void> {
    const { clock } = this.#context
    if (this.#modelsReadAtMs !== undefined && clock.monotonicMs() - this.#modelsReadAtMs < MODELS_EVERY_MS) return
    const path = profile.modelsRequest(this.#target)
    const list = path === profile.healthRequest(this.#target) ? health : await this.#ask(path).catch(ignoreNoAnswer)
    if (list?.status !== 200) return
    const json = parsed(list.body)
    const { upstreamModelFound, ...facts } = profile.readModels(json, this.#target.upstreamModel)
    const adapters = adaptersOf(this.#probed.aliases).filter((name) => profile.readModels(json, name).upstreamModelFound)
    this.#modelsReadAtMs = clock.monotonicMs()
    const more = await this.#readInfo(profile)
    this.#report = { ...this.#report, ...facts, ...more, modelMissing: !upstreamModelFound, adapters }
  }

  async #readInfo({ info }: EngineProfile): Promise<Partial<ModelFacts>> {
    const reply = info && (await this.#ask(info.request(this.#target)).catch(ignoreNoAnswer))
    if (info === undefined || reply?.status !== 200) return {}
    const { upstreamModelFound: _found, ...facts } = info.read(parsed(reply.body))
    return facts
  }

  #conclude(verdict: HealthVerdict, reason: string | undefined, responseMs?: number): void {
    const { health } = this.#probed.backend
    const before = this.#count.healthy
    this.#count = counted(this.#count, verdict, {
      healthyAfter: health.healthyAfter ?? USUAL.health.healthyAfter,
      unhealthyAfter: health.unhealthyAfter ?? USUAL.health.unhealthyAfter,
    })
    const { reason: _last, ...rest } = this.#report
    const missing = rest.modelMissing === true ? `the engine has no model "${this.#target.upstreamModel}"` : undefined
    this.#tell({ ...rest, ...known<Partial<ProbeReport>>({ engine: this.#engine, responseMs, reason: reason ?? missing }) })
    if (before !== false && this.#count.healthy === false) this.#forget()
  }

  /** What comes back after a down period may be another engine, with other models. */
  #forget(): void {
    this.#modelsReadAtMs = undefined
    if (this.#probed.backend.engine === 'Auto') this.#engine = undefined
    const { contextWindowTokens: _c, capabilities: _p, modelMissing: _m, adapters: _a, ...rest } = this.#report
    this.#report = rest
  }

  /** Signals that cannot be read grow old and so become unknown; they never say that an endpoint is ill. */
  async #readSignals(): Promise<void> {
    if (this.#engine === undefined) return
    const profile = profileOf(this.#engine)
    for (const path of profile.signalsRequests(this.#target)) {
      const reply = await this.#ask(path).catch(ignoreNoAnswer)
      if (reply?.status !== 200) continue
      const { running: _r, waiting: _w, cacheUsed: _c, ...rest } = this.#report
      const reading = profile.readSignals(reply.body, { model: this.#target.upstreamModel })
      return this.#tell({ ...rest, ...reading, signalsAtMs: this.#context.clock.now() })
    }
  }

  #tell(report: ProbeReport): void {
    if (this.#stop.signal.aborted) return
    this.#report = { ...report, atMs: this.#context.clock.now(), healthy: this.#count.healthy }
    this.#context.onReport(this.#report)
  }

  #ask(path: string, more: Partial<Pick<Question, 'body' | 'timeoutMs' | 'signal'>> = {}): Promise<Reply> {
    const headers = Object.fromEntries(this.#probed.backend.headers.map(({ name, value }) => [name, value]))
    return ask({ pool: this.#pool, path, headers, timeoutMs: this.#timeoutMs, signal: this.#stop.signal, ...more })
  }
}

function targetOf({ backend, endpoint }: ProbedEndpoint): ProbeTarget {
  const { upstreamModel, health, signals } = backend
  return {
    basePath: endpoint.basePath,
    upstreamModel,
    ...known<Partial<ProbeTarget>>({ healthPath: health.path, signalsPath: signals.path }),
  }
}

function poolFor(origin: string, timeoutMs: number, addresses: AddressGuard | undefined): Pool {
  const connect = buildConnector({ timeout: timeoutMs, ...known<{ lookup: LookupFunction }>({ lookup: addresses?.lookup }) })
  return new Pool(origin, {
    connections: 2,
    pipelining: 1,
    connect: (options, callback) => {
      const refusal = addresses?.refusal(options.hostname)
      if (refusal === undefined) connect(options, callback)
      else callback(refusal, null)
    },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
  })
}

function reasonOf(verdict: HealthVerdict, status: number): string | undefined {
  if (verdict === 'ready') return undefined
  return verdict === 'loading' ? 'the model is loading' : `status ${status}`
}

function ignoreNoAnswer(error: unknown): undefined {
  if (!(error instanceof NoAnswer)) throw error
}
