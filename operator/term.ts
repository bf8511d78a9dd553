/**
 * One term of leadership: from winning the Lease until it is gone. In: a won election. Out: a push server that leads, under an epoch of its
 * own, once the installation's namespaces are its own. Owner: the operator's main; `close()` once.
 */
import type { Log } from './config.ts'
import { type Election, NotLeading } from './lead/election.ts'
import { Scope, type ScopeOptions, type ScopeState } from './lead/scope.ts'
import type { PushServer } from './push/server.ts'

export interface TermOptions {
  readonly election: Election
  readonly push: PushServer
  readonly scope: Omit<ScopeOptions, 'onChange' | 'onError' | 'namespaces'>
  readonly address?: string
  readonly log: Log
  /** Called when the epoch is written and proxies are taken. */
  readonly onLead: (epoch: number) => void
}

export class Term {
  readonly #options: TermOptions
  readonly #scope: Scope
  #epoch: number | undefined
  #claiming = false
  #isOver = false

  constructor(options: TermOptions, namespaces: Iterable<string>) {
    this.#options = options
    const { log } = options
    this.#scope = new Scope({
      ...options.scope,
      namespaces,
      onChange: (state) => this.#judge(state),
      onError: (error) => log.warn('a scope Lease could not be written; it is tried again', { error: String(error) }),
    })
  }

  start(): void {
    this.#scope.start()
    this.#judge(this.#scope.state)
  }

  /** Undefined until proxies are taken. */
  get epoch(): number | undefined {
    return this.#epoch
  }

  /** Why it does not serve, though it has the Lease. */
  get refusedBecause(): string | undefined {
    const { state } = this.#scope
    return state.may === 'lead' ? undefined : state.message
  }

  setNamespaces(namespaces: Iterable<string>): void {
    this.#scope.setNamespaces(namespaces)
  }

  /** A gateway has seen `have`: this term gets an epoch above it, if it is still ours. */
  async raise(have: number): Promise<void> {
    const { election, push, log } = this.#options
    if (this.#epoch === undefined || !(await election.confirm())) return
    this.#epoch = await election.raiseEpoch(have)
    if (this.#isOver) return
    log.info('epoch raised', { epoch: this.#epoch, seen: have })
    push.setEpoch(this.#epoch)
  }

  async close(): Promise<void> {
    this.#isOver = true
    await this.#scope.close()
  }

  #judge(state: ScopeState): void {
    if (this.#isOver || state.may === 'unknown') return
    if (state.may === 'lead') {
      if (this.#epoch === undefined && !this.#claiming) void this.#begin()
      return
    }
    this.#options.log.error('this installation does not lead', { because: state.message })
    this.#epoch = undefined
    this.#options.push.setLeading(false)
  }

  async #begin(): Promise<void> {
    this.#claiming = true
    const { election, push, address, log, onLead } = this.#options
    try {
      const epoch = await election.claimEpoch(push.highestGatewayEpoch())
      if (this.#isOver || this.#scope.state.may === 'not') return
      this.#epoch = epoch
      push.setLeading(true, address)
      push.setEpoch(epoch)
      onLead(epoch)
    } catch (error) {
      if (!(error instanceof NotLeading)) log.error('no epoch could be claimed', { error: String(error) })
    } finally {
      this.#claiming = false
    }
  }
}
