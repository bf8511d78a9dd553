/**
 * Sidecars for Pods that ask for one. In: the API server's questions, and all Pods that are watched. Out: answers that change a Pod or leave
 * it as it is, but never refuse it; an audit of the Pods that were missed. EFFECT: serves TLS, writes Events while it leads, asks for the
 * API server's version. What a Pod gets is decided in `operator/inject`. Owner: the operator's main; `start()` once, `close()` once.
 */
import { createHash } from 'node:crypto'
import type { SidecarConfig } from '../config.ts'
import { type Audit, audit } from '../inject/audit.ts'
import { inject } from '../inject/inject.ts'
import type { SidecarSettings } from '../inject/names.ts'
import { defaultSidecar } from '../inject/sidecar.ts'
import type { KubeClient } from '../kube/client.ts'
import type { WorkQueue, WorkRecord } from '../queue/work-queue.ts'
import type { Resources } from '../resources/snapshot.ts'
import { MissedEvents } from './missed-events.ts'
import { supportsNative } from './native.ts'
import { AdmissionServer, type WebhookRecord } from './server.ts'

export interface AdmissionOptions {
  readonly client: Pick<KubeClient, 'get' | 'create'>
  readonly config: SidecarConfig
  /** Of the operator. */
  readonly namespace: string
  readonly seesNamespaces: boolean
  readonly resources: () => Resources | undefined
  readonly isLeader: () => boolean
  readonly instance: string
  readonly onRecord: (record: WebhookRecord) => void
  readonly onWork: (record: WorkRecord) => void
  readonly onBug: (error: unknown) => void
  /** A version that could not be asked, an Event that could not be written: both are tried again. */
  readonly onProblem: (what: string, error: unknown) => void
}

/** A Pod that has just been made is not looked at before its patch has come back by the watch. */
const AUDIT_EVERY_MS = 10_000

export class Admission {
  readonly #options: AdmissionOptions
  readonly #server: AdmissionServer
  readonly #events: MissedEvents
  readonly #closing = new AbortController()
  #isNative: boolean
  #settings: SidecarSettings
  #version: string
  #timer: NodeJS.Timeout | undefined
  #asking: Promise<void> = Promise.resolve()

  constructor(options: AdmissionOptions) {
    this.#options = options
    const { client, isLeader, instance, onRecord, onWork, onBug, onProblem } = options
    this.#isNative = options.config.mode !== 'Classic'
    this.#settings = this.#makeSettings()
    this.#version = versionOf(this.#settings)
    this.#server = new AdmissionServer({
      judge: (pod, namespace) => inject(pod, namespace, this.#settings, this.#version),
      onRecord,
      onBug,
    })
    const onError = (pod: string, error: unknown): void => onProblem(`write an Event of Pod ${pod}`, error)
    this.#events = new MissedEvents({ client, isLeader, instance, now: Date.now, onRecord: onWork, onError })
  }

  /** Resolves with the port. Rejects if it cannot be had. */
  async start(host: string): Promise<number> {
    const port = await this.#server.listen(this.#options.config.port, host)
    this.#look()
    this.#timer = setInterval(() => this.#look(), AUDIT_EVERY_MS)
    return port
  }

  async close(): Promise<void> {
    this.#closing.abort()
    clearInterval(this.#timer)
    await Promise.all([this.#server.close(), this.#events.close(), this.#asking])
  }

  setCertificate(certificate: { readonly cert: string; readonly key: string }): void {
    this.#server.setCertificate(certificate)
  }

  get inFlight(): number {
    return this.#server.inFlight
  }

  get queue(): WorkQueue {
    return this.#events.queue
  }

  /** Undefined: not all has been read yet. */
  audit(): Audit | undefined {
    const { resources, namespace: ownNamespace, seesNamespaces } = this.#options
    const now = resources()
    if (now === undefined) return undefined
    return audit(now.pods.values(), { namespaces: seesNamespaces ? now.namespaces : undefined, ownNamespace, version: this.#version })
  }

  #look(): void {
    if (this.#options.config.mode === 'Auto') this.#asking = this.#askVersion()
    if (this.#options.isLeader()) this.#events.set(this.audit()?.missed ?? [])
  }

  /** Asked now and then: clusters are upgraded. Until it is known, it is new enough, as every version that is still maintained. */
  async #askVersion(): Promise<void> {
    try {
      const isNative = supportsNative(await this.#options.client.get('/version', { signal: this.#closing.signal }))
      if (isNative === this.#isNative) return
      this.#isNative = isNative
      this.#settings = this.#makeSettings()
      this.#version = versionOf(this.#settings)
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#options.onProblem("ask for the API server's version", error)
    }
  }

  #makeSettings(): SidecarSettings {
    const { config, namespace } = this.#options
    return { image: config.image, operatorUrl: config.operatorUrl, mode: this.#isNative ? 'Native' : 'Classic', namespace }
  }
}

/** Changes with whatever would be injected into the same Pod. */
const versionOf = (settings: SidecarSettings): string =>
  createHash('sha256')
    .update(JSON.stringify(defaultSidecar(settings)))
    .digest('hex')
    .slice(0, 12)
