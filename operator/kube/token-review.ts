import { type Fields, isFields } from '../validate/problem.ts'
import type { CallOptions, KubeClient } from './client.ts'

export interface TokenReviewResult {
  readonly authenticated: boolean
  /** "system:serviceaccount:NAMESPACE:NAME" */
  readonly username: string
  readonly groups: readonly string[]
  readonly audiences: readonly string[]
  /** Pod name and uid, among others, by the keys the API documents. */
  readonly extra: Readonly<Record<string, readonly string[]>>
  /** Why it is not authenticated; "" when it is. */
  readonly error: string
}

/** Asks the API server whose token it is. A token for other audiences is not authenticated, and `error` says so. */
export async function reviewToken(
  client: KubeClient,
  token: string,
  audiences: readonly string[],
  options: CallOptions,
): Promise<TokenReviewResult> {
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences } }
  return readTokenReview(await client.create('/apis/authentication.k8s.io/v1/tokenreviews', body, options))
}

function readTokenReview(review: Fields): TokenReviewResult {
  const status = isFields(review['status']) ? review['status'] : {}
  const user = isFields(status['user']) ? status['user'] : {}
  const extra = isFields(user['extra']) ? Object.entries(user['extra']) : []
  return {
    authenticated: status['authenticated'] === true,
    username: typeof user['username'] === 'string' ? user['username'] : '',
    groups: textsOf(user['groups']),
    audiences: textsOf(status['audiences']),
    extra: Object.fromEntries(extra.map(([name, values]) => [name, textsOf(values)])),
    error: typeof status['error'] === 'string' ? status['error'] : '',
  }
}

const textsOf = (list: unknown): readonly string[] => (Array.isArray(list) ? list.filter((item) => typeof item === 'string') : [])
