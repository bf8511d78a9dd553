/**
 * Whether the operator has the rights that it needs. In: what each Role or ClusterRole has to allow. Out: a message for each rule of which
 * something is missing, saying what to add, once when it comes up. It asks at the start, every five minutes and after a refusal, so that a
 * right that is needed once a year is missed today. EFFECT: asks the API server, which lets everybody ask about himself; it changes nothing.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Access, type GrantedRule, mayDo, readGrantedRules } from './kube/access-review.ts'
import type { KubeClient } from './kube/client.ts'
import { Pause } from './queue/pause.ts'
import type { NeededRights, Rule } from './workloads/rbac.ts'

export interface RightsCheckOptions {
  readonly client: KubeClient
  readonly needed: readonly NeededRights[]
  readonly onMissing: (message: string) => void
  /** It could not be asked; it is asked again. */
  readonly onError: (error: unknown) => void
}

const EVERY_MS = 300_000
/** Between two, however much is refused. */
const BETWEEN_MS = 10_000
const TIMEOUT_MS = 10_000

/** Owner: the operator's main; `start()` once, `close()` once. */
export class RightsCheck {
  readonly #options: RightsCheckOptions
  readonly #closing = new AbortController()
  readonly #pause = new Pause()
  #told: ReadonlySet<string> = new Set()
  #running: Promise<void> = Promise.resolve()

  constructor(options: RightsCheckOptions) {
    this.#options = options
  }

  start(): void {
    this.#running = this.#run()
  }

  /** The API server has refused something. */
  refused(): void {
    this.#pause.wake()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      const done = await this.#look(signal).catch((error: unknown) => this.#failed(error))
      await sleep(BETWEEN_MS, undefined, { signal }).catch(() => undefined)
      if (done) await this.#pause.wait(EVERY_MS - BETWEEN_MS, signal)
    }
  }

  #failed(error: unknown): false {
    if (!this.#closing.signal.aborted) this.#options.onError(error)
    return false
  }

  async #look(signal: AbortSignal): Promise<true> {
    const { client, needed, onMissing } = this.#options
    const missing = new Set<string>()
    for (const rights of needed) for (const message of await missingOf(client, rights, signal)) missing.add(message)
    for (const message of missing) if (!this.#told.has(message)) onMissing(message)
    this.#told = missing
    return true
  }
}

/** What the list of rules lacks is asked for by itself: the list knows RBAC alone. For everywhere there is no list. */
async function missingOf(client: KubeClient, { namespace, role, rules }: NeededRights, signal: AbortSignal): Promise<readonly string[]> {
  const options = { signal, timeoutMs: TIMEOUT_MS }
  const granted = namespace === undefined ? [] : await readGrantedRules(client, namespace, options)
  const messages: string[] = []
  for (const rule of rules) {
    const lacking: Access[] = []
    for (const access of accessesOf(rule, namespace))
      if (!granted.some((one) => grants(one, access)) && !(await mayDo(client, access, options))) lacking.push(access)
    if (lacking.length > 0) messages.push(messageOf(rule, lacking, role))
  }
  return messages
}

function accessesOf({ apiGroups, resources, verbs, resourceNames = [] }: Rule, namespace: string | undefined): readonly Access[] {
  const where = namespace === undefined ? {} : { namespace }
  const objects = resourceNames.length === 0 ? [{}] : resourceNames.map((name) => ({ name }))
  return apiGroups.flatMap((group) =>
    resources.flatMap((resource) => verbs.flatMap((verb) => objects.map((object) => ({ group, resource, verb, ...where, ...object })))),
  )
}

const grants = (rule: GrantedRule, { group, resource, verb, name }: Access): boolean =>
  has(rule.groups, group) &&
  has(rule.resources, resource) &&
  has(rule.verbs, verb) &&
  (rule.names.length === 0 || (name !== undefined && rule.names.includes(name)))

const has = (list: readonly string[], item: string): boolean => list.includes(item) || list.includes('*')

function messageOf({ apiGroups, resourceNames }: Rule, lacking: readonly Access[], role: string): string {
  const [verbs, resources] = [unique(lacking.map(({ verb }) => verb)), unique(lacking.map(({ resource }) => resource))]
  const names = resourceNames === undefined ? '' : `, resourceNames ${JSON.stringify(resourceNames)}`
  const rule = `apiGroups ${JSON.stringify(apiGroups)}, resources ${JSON.stringify(resources)}, verbs ${JSON.stringify(verbs)}${names}`
  const namespace = lacking[0]?.namespace
  const [place, where] =
    namespace === undefined ? ['in all namespaces', `ClusterRole ${role}`] : [`in namespace ${namespace}`, `Role ${role} there`]
  return `The operator may not ${verbs.join(', ')} ${resources.join(', ')} ${place}. Add a rule with ${rule} to its ${where}; llama-swap operator --print-rbac prints all that it needs.`
}

const unique = (list: readonly string[]): readonly string[] => [...new Set(list)]
