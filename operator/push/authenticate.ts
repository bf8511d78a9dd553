import { createHash } from 'node:crypto'
import type { ProxyMode } from '../../proxy/routing-table/frames.ts'
import type { TokenIssuer } from '../resources/snapshot.ts'
import { type Authenticate, PUSH_AUDIENCE, type Refusal, refused, type Verdict } from './identity.ts'
import { isSignedBy, type PodClaims, readToken, type UnverifiedToken } from './token.ts'

/** What the watch knows of a pod. `unwatched`: it does not look at pods of that namespace. */
export type KnownPod = { readonly uid: string; readonly isOver: boolean } | 'unwatched' | undefined

/** What the API server says of a token. */
export interface Review {
  readonly authenticated: boolean
  readonly audiences: readonly string[]
  /** "system:serviceaccount:NAMESPACE:NAME". */
  readonly username: string
  readonly error: string
}

export interface AuthenticateOptions {
  /** The gateway's, as "namespace/name". */
  readonly gatewayServiceAccounts: readonly string[]
  readonly servesNamespace: (namespace: string) => boolean
  readonly podOf: (namespace: string, name: string) => KnownPod
  /**
   * `review` asks the API server (cluster-wide installs); it rejects when it gets no answer. `issuers` are who signs tokens, for installs
   * that may not ask: the keys verify, and a pod that is not watched does not pass.
   */
  readonly check:
    | { readonly by: 'TokenReview'; readonly review: (token: string, audience: string, signal: AbortSignal) => Promise<Review> }
    | { readonly by: 'Keys'; readonly issuers: () => readonly TokenIssuer[] }
  readonly clock?: () => number
}

const MAX_CACHED = 4_096
const MAX_CACHED_MS = 60_000
/** Clocks differ. */
const LEEWAY_MS = 5_000

/**
 * Who holds this token. Everything that identity says comes from claims that a signature covers; what is cheap to see is refused before
 * anybody is asked.
 */
export function makeAuthenticate(options: AuthenticateOptions): Authenticate {
  const clock = options.clock ?? Date.now
  const isGenuine = options.check.by === 'Keys' ? byKeys(options.check) : byReview(options.check, clock)
  return async (token, signal) => {
    const read = readToken(token)
    if (read === undefined) return refused('invalid_token', "this is no token of a pod's ServiceAccount")
    const { claims } = read
    const refusal = wrongClaims(claims, clock()) ?? (await isGenuine(read, token, signal))
    if (refusal === undefined) return standing(claims, options)
    return refusal.code === 'invalid_token' && !isThere(claims, options) ? podGone(claims) : { refusal }
  }
}

/** Undefined = it is what it says. */
type IsGenuine = (read: UnverifiedToken, token: string, signal: AbortSignal) => Promise<Refusal | undefined> | Refusal | undefined

const byKeys =
  ({ issuers }: AuthenticateOptions['check'] & { by: 'Keys' }): IsGenuine =>
  (read) =>
    isSignedBy(read, issuers()) ? undefined : NOT_SIGNED

function byReview({ review }: AuthenticateOptions['check'] & { by: 'TokenReview' }, clock: () => number): IsGenuine {
  const known = new ReviewCache()
  return ({ claims }, token, signal) =>
    known.once(token, claims.expiresAtMs, clock(), async () => judged(await review(token, PUSH_AUDIENCE, signal), claims))
}

const NOT_SIGNED: Refusal = { code: 'invalid_token', message: "none of the cluster's keys has signed this token" }

function wrongClaims({ audiences, expiresAtMs, notBeforeMs }: PodClaims, nowMs: number): Refusal | undefined {
  if (!audiences.includes(PUSH_AUDIENCE)) return { code: 'wrong_audience', message: `the token's audience is not ${PUSH_AUDIENCE}` }
  if (expiresAtMs <= nowMs) return { code: 'invalid_token', message: 'the token has expired' }
  return notBeforeMs > nowMs + LEEWAY_MS ? { code: 'invalid_token', message: 'the token is not valid yet' } : undefined
}

/** An authenticator that knows no audiences leaves them out of its answer: then the token does not pass (TokenReview, status.audiences). */
function judged(review: Review, { namespace, serviceAccount }: PodClaims): Refusal | undefined {
  if (!review.authenticated)
    return { code: 'invalid_token', message: review.error === '' ? 'the API server does not know this token' : review.error }
  if (!review.audiences.includes(PUSH_AUDIENCE)) return { code: 'wrong_audience', message: `the token's audience is not ${PUSH_AUDIENCE}` }
  const isSame = review.username === `system:serviceaccount:${namespace}:${serviceAccount}`
  return isSame ? undefined : { code: 'invalid_token', message: "the token's claims are not those of its user" }
}

/** The token holds: what may its pod be? */
function standing(claims: PodClaims, options: AuthenticateOptions): Verdict {
  const { namespace, serviceAccount, pod, podUid, expiresAtMs } = claims
  const isGateway = options.gatewayServiceAccounts.includes(`${namespace}/${serviceAccount}`)
  const isServed = options.servesNamespace(namespace)
  if (!isGateway && !isServed) return refused('namespace_not_served', `namespace ${namespace} is not served by this installation`)
  if (!isThere(claims, options)) return podGone(claims)
  const modes: readonly ProxyMode[] = [...(isGateway ? (['Gateway'] as const) : []), ...(isServed ? (['Sidecar'] as const) : [])]
  return { identity: { modes, namespace, pod, podUid, serviceAccount, expiresAtMs } }
}

const podGone = ({ namespace, pod }: PodClaims): Verdict => refused('pod_gone', `pod ${namespace}/${pod} is not there, or is another now`)

/** The API server looks at the pod itself when it is asked for a token. */
function isThere({ namespace, pod: name, podUid }: PodClaims, { podOf, check }: AuthenticateOptions): boolean {
  const pod = podOf(namespace, name)
  if (pod === 'unwatched') return check.by === 'TokenReview'
  return pod !== undefined && pod.uid === podUid && !pod.isOver
}

/** Answers of the API server by a digest of the token: good ones until it expires, a minute at most. The oldest goes when full. */
class ReviewCache {
  readonly #goodUntilMs = new Map<string, number>()

  async once(token: string, expiresAtMs: number, nowMs: number, ask: () => Promise<Refusal | undefined>): Promise<Refusal | undefined> {
    const digest = createHash('sha256').update(token).digest('base64')
    if ((this.#goodUntilMs.get(digest) ?? 0) > nowMs) return undefined
    const refusal = await ask()
    this.#goodUntilMs.delete(digest)
    if (refusal === undefined) this.#goodUntilMs.set(digest, Math.min(expiresAtMs, nowMs + MAX_CACHED_MS))
    if (this.#goodUntilMs.size > MAX_CACHED) this.#dropOldest()
    return refusal
  }

  #dropOldest(): void {
    const [oldest] = this.#goodUntilMs.keys()
    if (oldest !== undefined) this.#goodUntilMs.delete(oldest)
  }
}
