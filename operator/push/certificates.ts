import { ApiError } from '../kube/api-error.ts'
import type { KubeClient } from '../kube/client.ts'
import { type OwnAccount, ownedBy } from '../kube/own-account.ts'
import { Pause } from '../queue/pause.ts'
import { isFields } from '../validate/problem.ts'
import {
  BACKDATED_MS,
  CA_LIFE_MS,
  type KeyedCertificate,
  LEAF_LIFE_MS,
  makeAuthority,
  signServer,
  type Validity,
  validityOf,
} from './certificate-authority.ts'

/** Name of the Secret that holds the authority, and of the ConfigMaps that hold what proxies trust, under the key `ca.crt`. */
export const PUSH_CA_NAME = 'llama-swap-push-ca'
const BUNDLE_KEY = 'ca.crt'

/** The authority in force and, around a rotation, its neighbours. */
export interface Authorities {
  readonly current: KeyedCertificate
  /** Already trusted, does not sign yet. */
  readonly next?: KeyedCertificate
  /** Still trusted, signs no more: its certificate. */
  readonly previous?: string
}

export type Step =
  | { readonly do: 'nothing' }
  /** There is none, or it has expired. */
  | { readonly do: 'create' }
  | { readonly do: 'addNext' }
  /** Only once the bundle with it has been published. */
  | { readonly do: 'promote'; readonly next: KeyedCertificate }
  | { readonly do: 'dropPrevious' }

/** How long a next authority is trusted before it signs: kubelets and proxies take their time to read a ConfigMap. */
export const OVERLAP_MS = 24 * 3_600_000

/** What has to be done about the authorities at `nowMs`. PURE. */
export function nextStep(authorities: Authorities | undefined, nowMs: number): Step {
  const validity = authorities === undefined ? undefined : validityOf(authorities.current.cert)
  if (authorities === undefined || validity === undefined || validity.notAfterMs <= nowMs) return { do: 'create' }
  const { next, previous } = authorities
  const nextSinceMs = next === undefined ? undefined : validityOf(next.cert)?.notBeforeMs
  if (next !== undefined && nextSinceMs !== undefined && nowMs >= nextSinceMs + BACKDATED_MS + OVERLAP_MS) return { do: 'promote', next }
  if (nextSinceMs === undefined && isTwoThirdsOver(validity, CA_LIFE_MS, nowMs)) return { do: 'addNext' }
  if (previous !== undefined && (validityOf(previous)?.notAfterMs ?? 0) <= nowMs) return { do: 'dropPrevious' }
  return { do: 'nothing' }
}

const isTwoThirdsOver = ({ notAfterMs }: Validity, lifeMs: number, nowMs: number): boolean => notAfterMs - nowMs <= lifeMs / 3

export const bundleOf = ({ current, next, previous }: Authorities): string => [previous ?? '', current.cert, next?.cert ?? ''].join('')

export interface PushCertificatesOptions {
  readonly client: KubeClient
  /** The operator's own. */
  readonly namespace: string
  /** Owns what is made there. */
  readonly account?: OwnAccount
  /** Others that want the bundle. */
  readonly bundleNamespaces: () => readonly string[]
  /** Where else it has to be known; with each look of the leader. */
  readonly publishAlso?: (bundle: string, signal: AbortSignal) => Promise<void>
  /** DNS names, or addresses, under which proxies dial this replica. */
  readonly names: readonly string[]
  /** For this replica's server: first, and whenever it is renewed. */
  readonly onCertificate: (certificate: KeyedCertificate) => void
  /** What did not work; it is tried again. */
  readonly onProblem: (problem: { readonly what: string; readonly error: unknown }) => void
  readonly clock?: () => number
}

const FIELD_MANAGER = 'llama-swap'
const CHECK_EVERY_MS = 60_000
const RETRY_MS = 5_000
const NONE_YET_MS = 500

/** `found`: an authority; undefined = nobody could say. */
const pauseMs = (found: boolean | undefined): number => (found === undefined ? RETRY_MS : found ? CHECK_EVERY_MS : NONE_YET_MS)

interface Stored {
  readonly authorities: Authorities | undefined
  readonly resourceVersion: string | undefined
}

interface Leaf extends KeyedCertificate {
  readonly authority: string
}

/**
 * The push's certificates. The leader keeps the authority in a Secret and what proxies trust in ConfigMaps; each replica signs a
 * certificate for its own server and keeps it in memory. A new authority is trusted for OVERLAP_MS before it signs.
 */
export class PushCertificates {
  readonly #options: PushCertificatesOptions
  #leaf: Leaf | undefined
  readonly #pause = new Pause()

  constructor(options: PushCertificatesOptions) {
    this.#options = options
  }

  /** Looks now and every minute until `signal`; earlier after a failure, and while there is no authority. */
  async run(leads: () => boolean, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const found = await this.look(leads(), signal).catch((error: unknown) =>
        this.#problem('look after the certificates of the push', error),
      )
      await this.#pause.wait(pauseMs(found), signal)
    }
  }

  /** Another namespace wants the bundle: it is not to wait for the next look. */
  lookSoon(): void {
    this.#pause.wake()
  }

  /** One look. False = there is no authority, and only a leader makes one. Rejects when the API server refuses. */
  async look(leads: boolean, signal: AbortSignal): Promise<boolean> {
    const stored = await this.#read(signal)
    const authorities = leads ? await this.#lead(stored, signal) : stored.authorities
    if (authorities === undefined) return false
    await this.#renewLeaf(authorities.current)
    return true
  }

  /** Publishes before it promotes: nothing signs that is not trusted yet. */
  async #lead(stored: Stored, signal: AbortSignal): Promise<Authorities> {
    const { authorities: before } = stored
    const step = nextStep(before, this.#now())
    if (step.do === 'promote' && before !== undefined) await this.#publish(before, signal)
    const authorities = await this.#take(step, before)
    if (step.do !== 'nothing') await this.#write(authorities, stored.resourceVersion, signal)
    await this.#publish(authorities, signal)
    return authorities
  }

  async #take(step: Step, before: Authorities | undefined): Promise<Authorities> {
    if (before === undefined || step.do === 'create') return { current: await makeAuthority(this.#now()) }
    if (step.do === 'addNext') return { ...before, next: await makeAuthority(this.#now()) }
    if (step.do === 'promote') return { current: step.next, previous: before.current.cert }
    const { previous: _, ...others } = before
    return step.do === 'dropPrevious' ? others : before
  }

  async #renewLeaf(authority: KeyedCertificate): Promise<void> {
    const validity = this.#leaf === undefined ? undefined : validityOf(this.#leaf.cert)
    const isFresh = validity !== undefined && !isTwoThirdsOver(validity, LEAF_LIFE_MS, this.#now())
    if (isFresh && this.#leaf?.authority === authority.cert) return
    const signed = await signServer(authority, this.#options.names, this.#now())
    this.#leaf = { ...signed, authority: authority.cert }
    this.#options.onCertificate(signed)
  }

  async #read(signal: AbortSignal): Promise<Stored> {
    try {
      const secret = await this.#options.client.get(`${this.#secretsPath()}/${PUSH_CA_NAME}`, { signal })
      return readSecret(secret)
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return { authorities: undefined, resourceVersion: undefined }
      throw error
    }
  }

  /** By resourceVersion: of two that try at once one is told Conflict, and looks again. */
  async #write(authorities: Authorities, resourceVersion: string | undefined, signal: AbortSignal): Promise<void> {
    const { client, namespace } = this.#options
    const metadata = { ...this.#metadata(namespace), ...(resourceVersion !== undefined && { resourceVersion }) }
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque', data: secretData(authorities) }
    if (resourceVersion === undefined) await client.create(this.#secretsPath(), secret, { signal })
    else await client.update(`${this.#secretsPath()}/${PUSH_CA_NAME}`, secret, { signal })
  }

  /** The own namespace has to work; elsewhere a refusal is told and tried again with the next look. */
  async #publish(authorities: Authorities, signal: AbortSignal): Promise<void> {
    const { namespace, bundleNamespaces, publishAlso } = this.#options
    const bundle = bundleOf(authorities)
    await this.#apply(namespace, bundle, signal)
    await publishAlso?.(bundle, signal).catch((error: unknown) => this.#problem("publish the push's CA to the webhook", error))
    for (const other of new Set(bundleNamespaces())) {
      if (other === namespace) continue
      await this.#apply(other, bundle, signal).catch((error: unknown) =>
        this.#problem(`publish the push's CA in namespace ${other}`, error),
      )
    }
  }

  async #apply(namespace: string, bundle: string, signal: AbortSignal): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}/configmaps/${PUSH_CA_NAME}`
    if ((await this.#published(path, signal)) === bundle) return
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: this.#metadata(namespace), data: { [BUNDLE_KEY]: bundle } }
    await this.#options.client.serverSideApply(path, body, { fieldManager: FIELD_MANAGER, force: true, signal })
  }

  /** Somebody may have changed or deleted it; at rest nothing is written. */
  async #published(path: string, signal: AbortSignal): Promise<unknown> {
    try {
      const { data } = await this.#options.client.get(path, { signal })
      return isFields(data) ? data[BUNDLE_KEY] : undefined
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined
      throw error
    }
  }

  #metadata(namespace: string): object {
    return { name: PUSH_CA_NAME, namespace, labels: LABELS, ...ownedBy(this.#options.account, namespace) }
  }

  #secretsPath(): string {
    return `/api/v1/namespaces/${this.#options.namespace}/secrets`
  }

  #now(): number {
    return (this.#options.clock ?? Date.now)()
  }

  #problem(what: string, error: unknown): undefined {
    this.#options.onProblem({ what, error })
    return undefined
  }
}

const LABELS = { 'app.kubernetes.io/name': 'llama-swap', 'app.kubernetes.io/managed-by': 'llama-swap' }

const base64 = (text: string): string => Buffer.from(text).toString('base64')

function secretData({ current, next, previous }: Authorities): Record<string, string> {
  return {
    'ca.crt': base64(current.cert),
    'ca.key': base64(current.key),
    ...(next !== undefined && { 'next.crt': base64(next.cert), 'next.key': base64(next.key) }),
    ...(previous !== undefined && { 'previous.crt': base64(previous) }),
  }
}

/** A Secret that holds no authority, or a broken one, is as good as none: it is written anew. */
function readSecret(secret: Readonly<Record<string, unknown>>): Stored {
  const { metadata, data } = secret
  const resourceVersion = field(metadata, 'resourceVersion')
  const text = (name: string): string | undefined => {
    const value = field(data, name)
    return value === undefined ? undefined : Buffer.from(value, 'base64').toString('utf8')
  }
  const current = keyed(text('ca.crt'), text('ca.key'))
  const next = keyed(text('next.crt'), text('next.key'))
  const previous = text('previous.crt')
  if (current === undefined) return { authorities: undefined, resourceVersion }
  return { authorities: { current, ...(next !== undefined && { next }), ...(previous !== undefined && { previous }) }, resourceVersion }
}

function keyed(cert: string | undefined, key: string | undefined): KeyedCertificate | undefined {
  if (cert === undefined || key === undefined || validityOf(cert) === undefined) return undefined
  return { cert, key }
}

function field(value: unknown, name: string): string | undefined {
  const found = typeof value === 'object' && value !== null ? new Map(Object.entries(value)).get(name) : undefined
  return typeof found === 'string' ? found : undefined
}
