/**
 * The operator, wiring only: watch → translate → push, and who may do it. Every replica watches and translates, so that one that takes over
 * starts warm; only the leader takes proxies and writes. Owner: `cli/operator.ts`; `start()` once, `close()` once.
 */
import { createServer, type Server } from 'node:http'
import { isDeepStrictEqual } from 'node:util'
import { OperatorMetrics } from './account/metrics.ts'
import { Admission } from './admission/admission.ts'
import { publishCaBundle } from './admission/ca-bundle.ts'
import type { Log, OperatorConfig } from './config.ts'
import { optedIn } from './inject/audit.ts'
import { WEBHOOK_SERVICE } from './inject/manifests.ts'
import type { KubeClient, RequestRecord } from './kube/client.ts'
import { reviewToken } from './kube/token-review.ts'
import { Election } from './lead/election.ts'
import { type KnownPod, makeAuthenticate } from './push/authenticate.ts'
import { PushCertificates } from './push/certificates.ts'
import { DayStore } from './push/day-store.ts'
import { GatewayFinder } from './push/gateway-finder.ts'
import type { Authenticate } from './push/identity.ts'
import { PushServer } from './push/server.ts'
import { Report } from './report/report.ts'
import type { Resources } from './resources/snapshot.ts'
import { RightsCheck } from './rights.ts'
import { adminApp, type HealthChecks, metricsApp } from './serve/health.ts'
import { listening } from './serve/listening.ts'
import { Term } from './term.ts'
import { makeTranslator, type Translation } from './translate/translator.ts'
import { ClusterSource } from './watch/cluster.ts'
import type { ClusterProblem } from './watch/cluster-problem.ts'
import { describe } from './watch/collection.ts'
import { neededRights } from './workloads/rbac.ts'
import { serviceNames } from './workloads/service-names.ts'

export interface OperatorOptions {
  readonly config: OperatorConfig
  /** Makes the operator's client, which it owns; `onRequest` counts its calls. */
  readonly connect: (onRequest: (record: RequestRecord) => void) => KubeClient
  readonly log: Log
}

export interface OperatorPorts {
  readonly push: number
  readonly metrics: number
  readonly admin: number
  readonly webhook?: number
}

/** How often a standby tells its server who leads now. */
const LEADER_LOOK_MS = 1_000
/** A watch that the API server has not spoken on for this long, though it is reachable, is stuck: the process is to be started again. */
const STUCK_MS = 10 * 60_000

export class Operator {
  readonly #options: OperatorOptions
  readonly #client: KubeClient
  readonly #metrics: OperatorMetrics
  readonly #source: ClusterSource
  readonly #election: Election
  readonly #push: PushServer
  readonly #certificates: PushCertificates
  readonly #days: DayStore
  /** Absent: sidecars are not led anywhere. */
  readonly #gateway: GatewayFinder | undefined
  readonly #admission: Admission | undefined
  readonly #rights: RightsCheck
  readonly #translate = makeTranslator()
  readonly #metricsServer: Server
  readonly #adminServer: Server
  readonly #closing = new AbortController()
  #certificatesRunning: Promise<void> = Promise.resolve()
  #looking: NodeJS.Timeout | undefined
  #term: Term | undefined
  #report: Report | undefined
  #closedTerms: Promise<unknown> = Promise.resolve()
  #resources: Resources | undefined
  #translation: Translation | undefined
  #problems: readonly ClusterProblem[] = []
  #hasCertificate = false
  #isTooLarge: number | undefined

  constructor(options: OperatorOptions) {
    this.#options = options
    const { config, log } = options
    const metrics = this.#makeMetrics()
    const client = options.connect((record) => {
      metrics.recordRequest(record)
      if (record.code === '403') this.#rights.refused()
    })
    this.#rights = new RightsCheck({
      client,
      needed: neededRights({ ...config, ...(config.sidecars !== undefined && { webhook: config.sidecars.webhook }) }),
      onMissing: (message) => log.error(message),
      onError: (error) => log.debug('the operator could not ask which rights it has; it asks again', { error: String(error) }),
    })
    this.#metrics = metrics
    this.#client = client
    this.#source = new ClusterSource({
      client,
      namespaces: config.namespaces,
      podNamespaces: [config.namespace],
      settings: { builtInAuto: false, addresses: config.addresses },
      onSnapshot: (resources, problems) => this.#take(resources, problems),
      onRecord: ({ resource, namespace }, record) => {
        if (record.what === 'list') log.debug('listed', { resource, namespace, objects: record.objects, how: record.how })
        if (record.what !== 'restart') return
        metrics.watchRestarted({ resource, reason: record.end.reason })
        if (record.end.reason === 'bug')
          log.error('a watch broke on a bug of ours and is begun again', { resource, because: record.end.message })
      },
    })
    this.#election = new Election({
      client,
      lease: { namespace: config.namespace, name: config.install },
      account: config.account,
      identity: config.identity,
      ...(config.address !== undefined && { address: config.address }),
      onChange: (isLeader) => this.#leadershipChanged(isLeader),
      onError: (error) => log.warn('the leader Lease could not be read or written; it is tried again', { error: String(error) }),
    })
    this.#push = new PushServer({
      authenticate: this.#authenticate(),
      confirmLeadership: () => this.#election.confirm(),
      isPodOver: (namespace, name) => {
        const pod = this.#podOf(namespace, name)
        return pod === undefined || (pod !== 'unwatched' && pod.isOver)
      },
      ...(config.gatewayUrl !== undefined && { gateway: { url: config.gatewayUrl } }),
      events: {
        onFacts: () => this.#report?.poke(),
        onStaleEpoch: (have) => this.#raise(have),
        onPush: (push) => metrics.pushed(push),
        onAck: (ack) => metrics.acked(ack),
        onNack: (nack) => {
          metrics.nacked(nack)
          log.warn('a proxy could not apply a change', { ...nack })
        },
        onRefused: ({ code, message }) => {
          metrics.refused({ code })
          log.warn('a proxy was refused', { code, because: message })
        },
        onTooLarge: (bytes) => this.#tooLarge(bytes),
        onGone: () => this.#days.soon(),
      },
    })
    this.#gateway =
      config.gatewayUrl === undefined
        ? undefined
        : new GatewayFinder({ url: config.gatewayUrl, onFound: (gateway) => this.#push.setGateway(gateway) })
    this.#days = new DayStore({
      client,
      namespace: config.namespace,
      ...(config.account !== undefined && { account: config.account }),
      name: `${config.install}-days`,
      days: () => this.#push.days(),
      onProblem: ({ what, error }) => log.warn(`could not ${what}; it is tried again`, { error: String(error) }),
    })
    this.#admission = this.#makeAdmission()
    const { sidecars } = config
    this.#certificates = new PushCertificates({
      client,
      namespace: config.namespace,
      ...(config.account !== undefined && { account: config.account }),
      bundleNamespaces: () => this.#bundleNamespaces(),
      names: [...config.pushNames, ...(sidecars === undefined ? [] : serviceNames(WEBHOOK_SERVICE, config.namespace))],
      ...(sidecars !== undefined && { publishAlso: (bundle, signal) => publishCaBundle(client, sidecars.webhook, bundle, signal) }),
      onCertificate: (certificate) => {
        this.#push.setCertificate(certificate)
        this.#admission?.setCertificate(certificate)
        this.#hasCertificate = true
      },
      onProblem: ({ what, error }) => log.warn(`could not ${what}; it is tried again`, { error: String(error) }),
    })
    this.#metricsServer = createServer(
      metricsApp({ checks: this.#checks(), metrics: () => metrics.registry.metrics(), metricsType: metrics.registry.contentType }),
    )
    this.#adminServer = createServer(adminApp(() => this.#state()))
  }

  /** Opens every port, then begins to watch. Rejects if a port cannot be had. */
  async start(): Promise<OperatorPorts> {
    const { config } = this.#options
    const webhook = await this.#admission?.start(config.host)
    const ports = {
      push: await this.#push.listen(config.pushPort, config.host),
      metrics: await listening(this.#metricsServer, config.metricsPort, config.host),
      admin: await listening(this.#adminServer, config.adminPort, '127.0.0.1'),
      ...(webhook !== undefined && { webhook }),
    }
    this.#source.start()
    this.#election.start()
    this.#gateway?.start()
    this.#rights.start()
    this.#certificatesRunning = this.#certificates.run(() => this.#election.isLeader, this.#closing.signal)
    this.#looking = setInterval(() => this.#tellWhoLeads(), LEADER_LOOK_MS)
    return ports
  }

  /** Work ends, the Lease is let go of, then proxies are sent to the next leader. */
  async close(): Promise<void> {
    this.#closing.abort()
    clearInterval(this.#looking)
    this.#gateway?.close()
    await this.#days.close()
    await this.#term?.close()
    this.#endReport()
    await this.#closedTerms
    await this.#election.close()
    await this.#push.close()
    await this.#source.close()
    await this.#rights.close()
    await this.#admission?.close()
    await this.#certificatesRunning
    await this.#closedTerms
    for (const server of [this.#metricsServer, this.#adminServer]) {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
    await this.#client.close()
  }

  #makeMetrics(): OperatorMetrics {
    return new OperatorMetrics({
      lease: this.#options.config.install,
      isLeader: () => this.#election.isLeader,
      proxies: () => this.#push.counts(),
      table: () => {
        const [epoch, table] = [this.#term?.epoch, this.#translation?.table]
        if (epoch === undefined || table === undefined) return undefined
        const { models, policies, endpointSets } = table
        const served = new Set(endpointSets.flatMap(({ model, endpoints }) => (endpoints.length > 0 ? [model] : [])))
        const withoutEndpoints = models.filter(({ ref }) => !served.has(ref)).length
        return { epoch, seq: this.#push.seq, models: models.length, withoutEndpoints, policies: policies.length }
      },
      reviews: () => this.#admission?.inFlight,
      sidecars: () => (this.#leads() ? this.#admission?.audit() : undefined),
    })
  }

  #makeAdmission(): Admission | undefined {
    const { config, log } = this.#options
    if (config.sidecars === undefined) return undefined
    const admission = new Admission({
      client: this.#client,
      config: config.sidecars,
      namespace: config.namespace,
      seesNamespaces: config.namespaces === 'all',
      resources: () => this.#resources,
      isLeader: () => this.#leads(),
      instance: config.identity,
      onRecord: (record) => this.#metrics.reviewed(record),
      onWork: (record) => this.#metrics.recordWork('missed_sidecars', record),
      onBug: (error) => log.error('a Pod was left without sidecar by a bug of ours', { error: String(error) }),
      onProblem: (what, error) => log.warn(`could not ${what}; it is tried again`, { error: String(error) }),
    })
    this.#metrics.addQueue(admission.queue)
    return admission
  }

  /** Those that were named, and where labels can be read those that are labelled. */
  #bundleNamespaces(): readonly string[] {
    const { bundleNamespaces, namespaces, sidecars } = this.#options.config
    if (sidecars === undefined || namespaces !== 'all' || this.#resources === undefined) return bundleNamespaces
    return [...bundleNamespaces, ...optedIn(this.#resources.namespaces)]
  }

  #leads(): boolean {
    return this.#term?.epoch !== undefined && this.#election.isLeader
  }

  #take(resources: Resources, problems: readonly ClusterProblem[]): void {
    const { log } = this.#options
    const startedAt = performance.now()
    const before = this.#bundleNamespaces()
    this.#resources = resources
    if (!isDeepStrictEqual(before, this.#bundleNamespaces())) this.#certificates.lookSoon()
    this.#tellProblems(problems)
    this.#translation = this.#translate(resources, { epoch: 0, seq: 0 })
    this.#metrics.translated(performance.now() - startedAt)
    const result = this.#push.publish(this.#translation.table, Date.now())
    log.debug('snapshot translated', { result, models: resources.models.size })
    this.#term?.setNamespaces(this.#scopeNamespaces(resources))
    if (this.#term === undefined && this.#election.isLeader) this.#beginTerm()
    this.#reportTranslation()
  }

  /** Each is logged once, when it appears. */
  #tellProblems(problems: readonly ClusterProblem[]): void {
    const told = new Set(this.#problems.map((problem) => JSON.stringify(problem)))
    this.#problems = problems
    for (const problem of problems)
      if (!told.has(JSON.stringify(problem))) this.#options.log.warn(problem.message, { object: problem.object, at: problem.at })
  }

  #leadershipChanged(isLeader: boolean): void {
    this.#options.log.info(isLeader ? 'this replica has the Lease' : 'this replica has lost the Lease')
    if (!isLeader) return this.#endTerm()
    this.#certificates.lookSoon() // what only a leader publishes
    this.#beginTerm()
  }

  /** A term begins with a table: a leader that has not read the cluster yet would have nothing true to say. */
  #beginTerm(): void {
    if (this.#resources === undefined || this.#term !== undefined || this.#closing.signal.aborted) return
    const { config, log } = this.#options
    this.#term = new Term(
      {
        election: this.#election,
        push: this.#push,
        scope: { client: this.#client, installation: `${config.namespace}/${config.install}`, account: config.account },
        ...(config.address !== undefined && { address: config.address }),
        log,
        onLead: (epoch) => {
          log.info('leading', { epoch })
          this.#beginReport()
          void this.#restoreDays()
        },
      },
      this.#scopeNamespaces(this.#resources),
    )
    this.#term.start()
  }

  async #restoreDays(): Promise<void> {
    const term = this.#term
    const saved = await this.#days.read(this.#closing.signal).catch(() => undefined)
    if (term !== undefined && term === this.#term) this.#push.restoreDays(saved)
  }

  #endTerm(): void {
    this.#push.setLeading(false, this.#election.leader?.address)
    const ending = this.#term?.close()
    this.#term = undefined
    this.#endReport()
    this.#closedTerms = Promise.all([this.#closedTerms, ending])
  }

  #raise(have: number): void {
    this.#term
      ?.raise(have)
      .catch((error: unknown) => this.#options.log.warn('the epoch could not be raised; proxies ask again', { error: String(error) }))
  }

  /** docs/adr/0007-scope-leases.md */
  #scopeNamespaces({ models, policies, clientKeys }: Resources): ReadonlySet<string> {
    const { namespaces, namespace } = this.#options.config
    if (namespaces !== 'all') return new Set(namespaces)
    const keys = [models, policies, clientKeys].flatMap((kind) => [...kind.keys()])
    return new Set([namespace, 'default', ...keys.map((key) => key.slice(0, key.indexOf('/')))])
  }

  #tellWhoLeads(): void {
    if (!this.#election.isLeader) this.#push.setLeading(false, this.#election.leader?.address)
    if (!this.#source.synced) this.#tellProblems(this.#source.troubles())
  }

  #tooLarge(bytes: number | undefined): void {
    if (bytes !== undefined && this.#isTooLarge === undefined)
      this.#options.log.error('the routing table is larger than may travel; proxies keep the last one', { bytes })
    this.#isTooLarge = bytes
    this.#report?.poke()
  }

  #beginReport(): void {
    this.#endReport()
    const { config, log } = this.#options
    const report = new Report({
      client: this.#client,
      isLeader: () => this.#leads(),
      heard: () => ({
        programming: this.#push.programming(),
        votes: this.#push.reports(),
        ...(this.#isTooLarge !== undefined && { unpushed: tooLargeText(this.#isTooLarge) }),
      }),
      instance: config.identity,
      onRecord: this.#metrics.recordWork,
      onError: (object, error) => log.warn('a status or Event could not be written; it is tried again', { object, error: String(error) }),
    })
    for (const queue of report.queues) this.#metrics.addQueue(queue)
    this.#report = report
    this.#reportTranslation()
  }

  #endReport(): void {
    const ending = this.#report
    this.#report = undefined
    if (ending === undefined) return
    for (const queue of ending.queues) this.#metrics.removeQueue(queue)
    this.#closedTerms = Promise.all([this.#closedTerms, ending.close()])
  }

  #reportTranslation(): void {
    if (this.#resources === undefined || this.#translation === undefined) return
    this.#report?.translated({ resources: this.#resources, ...this.#translation })
  }

  #authenticate(): Authenticate {
    const { config } = this.#options
    return makeAuthenticate({
      gatewayServiceAccounts: config.gatewayServiceAccounts,
      servesNamespace: (namespace) => this.#serves(namespace),
      podOf: (namespace, name) => this.#podOf(namespace, name),
      check:
        config.namespaces === 'all'
          ? { by: 'TokenReview', review: (token, audience, signal) => reviewToken(this.#client, token, [audience], { signal }) }
          : { by: 'Keys', issuers: () => this.#resources?.tokenIssuers ?? [] },
    })
  }

  /** Its pods are watched, and may be proxies; gateways run in the own one. */
  #serves(namespace: string): boolean {
    const { namespaces, namespace: own } = this.#options.config
    return namespaces === 'all' || namespace === own || namespaces.includes(namespace)
  }

  #podOf(namespace: string, name: string): KnownPod {
    if (!this.#serves(namespace)) return 'unwatched'
    const pod = this.#resources?.pods.get(`${namespace}/${name}`)
    return pod === undefined ? undefined : { uid: pod.uid, isOver: pod.phase === 'Succeeded' || pod.phase === 'Failed' }
  }

  #checks(): HealthChecks {
    return {
      notLiveBecause: () => {
        const stuck = this.#source.health().find(({ quietMs, failing }) => quietMs > STUCK_MS && failing === undefined)
        return stuck === undefined ? undefined : `nothing heard of ${stuck.collection.resource} for ${Math.round(stuck.quietMs / 1000)} s`
      },
      notReadyBecause: () => {
        if (this.#closing.signal.aborted) return 'shutting down'
        if (!this.#source.synced)
          return ['not all of the cluster has been read yet', ...this.#source.troubles().map(({ message }) => message)].join('\n')
        return this.#hasCertificate ? undefined : 'no certificate for the push yet'
      },
      started: () => this.#source.synced,
    }
  }

  #state(): unknown {
    const { config } = this.#options
    const votes = this.#push.reports()
    return {
      install: `${config.namespace}/${config.install}`,
      identity: config.identity,
      leads: this.#term?.epoch !== undefined,
      leader: this.#election.leader?.identity,
      epoch: this.#term?.epoch,
      notLeadingBecause: this.#term?.refusedBecause,
      proxies: this.#push.counts(),
      problems: [...this.#problems, ...(this.#translation?.problems ?? [])],
      watches: this.#source
        .health()
        .flatMap(({ collection, quietMs, failing }) => (failing === undefined ? [] : { what: describe(collection), quietMs, failing })),
      tableTooLargeBytes: this.#isTooLarge,
      programming: Object.fromEntries(this.#push.programming()),
      endpoints: (this.#translation?.table.endpointSets ?? []).flatMap(({ model, backend, endpoints }) =>
        endpoints.map(({ id, origin }) => ({ model, backend, id, origin, ...votes.get(id) })),
      ),
      usage: Object.fromEntries(this.#push.usage()),
    }
  }
}

const tooLargeText = (bytes: number): string =>
  `All objects together make a routing table of ${bytes} bytes, more than may travel; gateways keep the last one. Remove some, or serve fewer namespaces.`
