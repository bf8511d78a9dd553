const REASONS: ReadonlyMap<string | undefined, string> = new Map([
  ['ERR_SSL_HTTP_REQUEST', 'plain_http'],
  ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'version'],
  ['ECONNRESET', 'left'],
  ['ERR_TLS_HANDSHAKE_TIMEOUT', 'timeout'],
])

/** TLS handshakes of clients that came to nothing, counted by one of a few reasons. */
export class FailedHandshakes {
  readonly counts = new Map<string, number>()

  /** `code`: of the error. */
  count(code: string | undefined): void {
    const reason = REASONS.get(code) ?? 'other'
    this.counts.set(reason, (this.counts.get(reason) ?? 0) + 1)
  }
}
