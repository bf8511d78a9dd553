/**
 * What the suites of the watch stand on: an API server, a relay in front of it, an operator's source behind the relay. In: a control plane.
 * Out: ways to change the cluster past the relay, and the time until what the source says equals the cluster.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KubeConfig } from '@kubernetes/client-node'
import { KubeClient } from '../../operator/kube/client.ts'
import type { Resources, Settings } from '../../operator/resources/snapshot.ts'
import { canonicalText } from '../../operator/watch/canonical-text.ts'
import { ClusterSource } from '../../operator/watch/cluster.ts'
import type { ClusterProblem } from '../../operator/watch/cluster-problem.ts'
import { REFLECTOR_TIMING, type ReflectorTiming, type WatchRecord } from '../../operator/watch/reflector.ts'
import { ApiRelay } from '../support/control-plane/api-relay.ts'
import { eventually } from '../support/eventually.ts'

/** What it takes to be an API server here; a control plane is one. */
export interface Server {
  readonly url: string
  /** PEM. */
  readonly ca: string
  readonly adminToken: string
}

const SETTINGS: Settings = { addresses: { base: 'Cluster', allow: [], deny: [], apiServer: [] }, builtInAuto: false }
/** A silent watch is given up after 2 s and a lost event found within 3 s: nobody waits 60 s for the same program. */
export const QUICK: ReflectorTiming = { ...REFLECTOR_TIMING, silenceMs: 2000, answerMs: 8000, censusMs: 3000, settleMs: 500 }

/** Credentials as a pod has them: in files that others replace. */
export class Credentials {
  readonly #folder = mkdtempSync(join(tmpdir(), 'llama-swap-watch-'))
  readonly #server: string

  constructor({ url, ca, token }: { readonly url: string; readonly ca: string; readonly token: string }) {
    this.#server = url
    this.writeCa(ca)
    this.writeToken(token)
  }

  writeCa(ca: string): void {
    writeFileSync(join(this.#folder, 'ca.crt'), ca)
  }

  writeToken(token: string): void {
    writeFileSync(join(this.#folder, 'token'), token)
  }

  readonly load = (): KubeConfig => {
    const config = new KubeConfig()
    const authProvider = { name: 'tokenFile', config: { tokenFile: join(this.#folder, 'token') } }
    config.loadFromClusterAndUser(
      { name: 'c', server: this.#server, caFile: join(this.#folder, 'ca.crt'), skipTLSVerify: false },
      { name: 'u', authProvider },
    )
    return config
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true })
  }
}

/** A client that goes past the relay. Owner: who makes it. */
export class Direct {
  readonly client: KubeClient
  readonly #credentials: Credentials

  constructor({ url, ca, adminToken }: Server) {
    this.#credentials = new Credentials({ url, ca, token: adminToken })
    this.client = new KubeClient({ load: this.#credentials.load })
  }

  async apply(path: string, object: Readonly<Record<string, unknown>>): Promise<void> {
    await this.client.serverSideApply(path, object, { fieldManager: 'test', force: true, signal: AbortSignal.timeout(10_000) })
  }

  async remove(path: string): Promise<void> {
    await this.client.remove(path, { signal: AbortSignal.timeout(10_000) })
  }

  async model(namespace: string, name: string, spec: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const backends = [{ name: 'b', url: 'https://api.example.com/v1' }]
    const object = { apiVersion: 'llamaswap.dev/v1alpha1', kind: 'LlamaModel', metadata: { name, namespace }, spec: { backends, ...spec } }
    await this.apply(modelPath(namespace, name), object)
  }

  async secret(namespace: string, name: string, stringData: Readonly<Record<string, string>>, labels = {}): Promise<void> {
    const object = { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace, labels }, stringData }
    await this.apply(`/api/v1/namespaces/${namespace}/secrets/${name}`, object)
  }

  async slice(namespace: string, name: string, service: string, address: string): Promise<void> {
    await this.apply(`/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices/${name}`, {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name, namespace, labels: { 'kubernetes.io/service-name': service } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [address], conditions: { ready: true } }],
      ports: [{ name: 'http', port: 8000 }],
    })
  }

  async close(): Promise<void> {
    await this.client.close()
    this.#credentials.remove()
  }
}

export const modelPath = (namespace: string, name: string): string =>
  `/apis/llamaswap.dev/v1alpha1/namespaces/${namespace}/llamamodels/${name}`

export interface WatchedOptions {
  readonly namespaces?: 'all' | readonly string[]
  readonly timing?: ReflectorTiming
  /** Absent, the administrator's. */
  readonly token?: string
  /** Turns the relay's switches before the source starts. */
  readonly prepare?: (relay: ApiRelay) => void
}

/** A source behind a relay. Owner: the test; `close()` once. */
export class Watched {
  readonly relay: ApiRelay
  readonly credentials: Credentials
  readonly source: ClusterSource
  readonly records: WatchRecord[] = []
  readonly #client: KubeClient
  readonly #direct: Direct
  readonly #namespaces: 'all' | readonly string[]
  resources: Resources | undefined
  problems: readonly ClusterProblem[] = []
  snapshots = 0
  onSnapshot: (resources: Resources) => void = () => undefined

  static async start(server: Server, options: WatchedOptions = {}): Promise<Watched> {
    const relay = await ApiRelay.start({ upstream: server.url, upstreamCa: server.ca })
    options.prepare?.(relay)
    return new Watched(server, relay, options)
  }

  private constructor(server: Server, relay: ApiRelay, { namespaces = 'all', timing = QUICK, token = server.adminToken }: WatchedOptions) {
    this.relay = relay
    this.#namespaces = namespaces
    this.#direct = new Direct(server)
    this.credentials = new Credentials({ url: relay.url, ca: relay.ca, token })
    this.#client = new KubeClient({ load: this.credentials.load })
    this.source = new ClusterSource({
      client: this.#client,
      namespaces,
      settings: SETTINGS,
      timing,
      onRecord: (_collection, record) => this.records.push(record),
      onSnapshot: (resources, problems) => {
        this.resources = resources
        this.problems = problems
        this.snapshots += 1
        this.onSnapshot(resources)
      },
    })
    this.source.start()
  }

  /** Milliseconds until the source says what a new one, which asks the API server itself, says. */
  async untilEqual(withinMs = 60_000): Promise<number> {
    const startedAt = performance.now()
    const truth = await readAll(this.#direct.client, this.#namespaces)
    await eventually(async () => {
      if (this.text() !== truth) throw new Error(`The source differs from the cluster:\n${this.text()}\n${truth}`)
    }, withinMs)
    return performance.now() - startedAt
  }

  restarts(): readonly string[] {
    return this.records.flatMap((record) => (record.what === 'restart' ? [record.end.reason] : []))
  }

  text(): string {
    return this.resources === undefined ? 'nothing yet' : textOf(this.resources)
  }

  async close(): Promise<void> {
    await this.source.close()
    await this.#client.close()
    await this.#direct.close()
    await this.relay.close()
    this.credentials.remove()
  }
}

/** The cluster as it is now. */
async function readAll(client: KubeClient, namespaces: 'all' | readonly string[]): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<Resources>()
  const source = new ClusterSource({ client, namespaces, settings: SETTINGS, onRecord: () => undefined, onSnapshot: resolve })
  source.start()
  try {
    return textOf(await promise)
  } finally {
    await source.close()
  }
}

function textOf(resources: Resources): string {
  const secrets = [...resources.secrets].map(([key, { metadata, entries }]) => {
    const values = Object.entries(entries).map(([name, value]) => [name, value.reveal()] as const)
    return [key, { metadata, values: new Map(values) }] as const
  })
  return canonicalText({ ...resources, secrets: new Map(secrets) })
}
