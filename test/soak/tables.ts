/** Tables as the cluster might push them: endpoints come and go, weights and ways of balancing change; what is asked for stays. */
import type { RoutingTable } from '../../proxy/routing-table/v1.ts'
import type { Dice } from '../support/dice.ts'
import { type BackendLines, type ModelLines, makeTable } from '../support/table.ts'

/** What clients ask for: a model behind each policy, one that queues, and a policy that goes on with broken streams. */
export const NAMES = ['auto', 'continued', 'queued'] as const
/** The same for Anthropic's Messages API. */
export const MESSAGES_NAME = 'messages'

/** Ports that the tables need. */
export const PORTS = 9
const CAPABILITIES = ['chat', 'completions', 'responses'] as const

/** Below what a slow answer takes, above what a busy machine does. */
const ANTHROPIC = { dialect: 'Anthropic' } as const
const TIMEOUTS = { firstTokenMs: 3000, streamIdleMs: 3000 }

export function tableOf(seq: number, ports: readonly number[], dice: Dice): RoutingTable {
  const urls = ports.map((port) => `http://127.0.0.1:${port}`)
  const third = urls.length / 3
  const some = (from: number): string[] => {
    const mine = urls.slice(from, from + third)
    const gone = dice.chance(0.6) ? dice.below(mine.length) : -1
    return mine.filter((_, at) => at !== gone)
  }
  const backend = (from: number, more: Partial<BackendLines> = {}): BackendLines => ({
    url: some(from),
    weight: 1 + dice.below(10),
    timeouts: TIMEOUTS,
    capabilities: CAPABILITIES,
    ...more,
  })
  const model = (from: number, more: Partial<ModelLines> = {}): ModelLines => ({
    backends: [backend(from)],
    loadBalancing: dice.pick(['PowerOfTwo', 'RoundRobin'] as const),
    retry: { budgetPercent: 100 },
    ...more,
  })
  const QUEUE = { maxConcurrentPerEndpoint: 2, queue: { maxRequests: 200, maxWaitMs: 30_000 } }
  const targets = (): readonly (readonly [string, number])[] => [
    ['first', 1 + dice.below(5)],
    ['second', dice.below(5)],
  ]
  const strategy = dice.pick(['WeightedRandom', 'WeightedRoundRobin', 'Priority', 'LeastLoad'] as const)
  return makeTable({
    seq,
    models: {
      first: model(0),
      second: model(third),
      last: model(2 * third),
      slots: model(2 * third, { limits: QUEUE }),
      claude: model(0, { backends: [backend(0, ANTHROPIC)] }),
      haiku: model(third, { backends: [backend(third, ANTHROPIC)] }),
    },
    policies: {
      auto: { targets: targets(), strategy, fallback: { targets: ['last'] } },
      continued: { targets: targets(), strategy, fallback: { targets: ['last'], interrupt: 'Continue' } },
      messages: { targets: ['claude'], fallback: { targets: ['haiku'] } },
      queued: { targets: ['slots'], fallback: { targets: ['first', 'second'] } },
    },
  })
}
