import { parseBytes } from '../translate/quantity.ts'

interface Bounded {
  readonly annotation: string
  /** Undefined = it is no quantity. */
  readonly parse: (text: string) => number | undefined
  readonly min: string
  readonly max: string
  readonly fallback: string | undefined
}

const milliCpu = (text: string): number | undefined => {
  const [, amount = '', milli] = /^(\d{1,6}(?:[.]\d{1,3})?)(m?)$/.exec(text) ?? []
  return amount === '' || (milli === 'm' && amount.includes('.')) ? undefined : Number(amount) * (milli === 'm' ? 1 : 1000)
}

const bytes = (text: string): number | undefined => (/^\d{1,15}(Ki|Mi|Gi|k|M|G)?$/.test(text) ? parseBytes(text) : undefined)

const cpu = { parse: milliCpu, min: '10m', max: '2' }
const memory = { parse: bytes, min: '64Mi', max: '2Gi' }

/** What a Pod may say of its sidecar's resources, and what holds if it does not. */
export const AMOUNTS = {
  cpuRequest: { ...cpu, annotation: 'llamaswap.dev/sidecar-cpu-request', fallback: '50m' },
  cpuLimit: { ...cpu, annotation: 'llamaswap.dev/sidecar-cpu-limit', fallback: undefined },
  memoryRequest: { ...memory, annotation: 'llamaswap.dev/sidecar-memory-request', fallback: '96Mi' },
  memoryLimit: { ...memory, annotation: 'llamaswap.dev/sidecar-memory-limit', fallback: '256Mi' },
} as const satisfies Readonly<Record<string, Bounded>>

/** A Pod's whole says more than one container: a quota counts limits, and who has all of them equal is evicted last. */
export interface Neighbours {
  /** The Pod says its resources as a whole; a container that asks for more than is left would be refused. */
  readonly ofPod: boolean
  /** Each has a limit of CPU. */
  readonly limitCpu: boolean
  /** Each has limits of both, and requests no less. */
  readonly areGuaranteed: boolean
}

export interface Amounts {
  readonly requests: Readonly<Record<'cpu' | 'memory', string>>
  readonly limits: Readonly<Record<string, string>>
}

/** Enough to start in a second. */
const GUARANTEED_CPU = '250m'
const CPU_LIMIT_AMONG_LIMITS = '1'

type Annotations = Readonly<Record<string, string>>

/** Resources of a sidecar; undefined = none of its own. A wrong annotation never costs the Pod its start: the nearest that is allowed holds, and `warn` says so. */
export function amountsOf(annotations: Annotations, neighbours: Neighbours, warn: (message: string) => void): Amounts | undefined {
  if (neighbours.ofPod) return undefined
  const read = (bounded: Bounded): string | undefined => within(bounded, annotations[bounded.annotation], warn)
  const limit = { cpu: read(AMOUNTS.cpuLimit), memory: read(AMOUNTS.memoryLimit) ?? AMOUNTS.memoryLimit.fallback }
  const given = { cpu: read(AMOUNTS.cpuRequest), memory: read(AMOUNTS.memoryRequest) ?? AMOUNTS.memoryRequest.fallback }
  if (neighbours.areGuaranteed) {
    const all = { cpu: limit.cpu ?? given.cpu ?? GUARANTEED_CPU, memory: limit.memory }
    return { requests: all, limits: all }
  }
  const requests = { cpu: given.cpu ?? AMOUNTS.cpuRequest.fallback, memory: given.memory }
  const cpuLimit = limit.cpu ?? (neighbours.limitCpu ? CPU_LIMIT_AMONG_LIMITS : undefined)
  const limits = {
    memory: notBelow(AMOUNTS.memoryLimit, limit.memory, requests.memory, warn),
    ...(cpuLimit !== undefined && { cpu: notBelow(AMOUNTS.cpuLimit, cpuLimit, requests.cpu, warn) }),
  }
  return { requests, limits }
}

function within({ annotation, parse, min, max, fallback }: Bounded, text: string | undefined, warn: (message: string) => void) {
  if (text === undefined) return undefined
  const [value, least = 0, most = 0] = [parse(text), parse(min), parse(max)]
  if (value !== undefined && value >= least && value <= most) return text
  const taken = value === undefined ? fallback : value < least ? min : max
  warn(`${annotation}: "${text.slice(0, 40)}" is not within ${min} and ${max}; the sidecar has ${taken ?? 'none'}.`)
  return taken
}

/** The API server refuses a Pod whose limit is below its request. */
function notBelow({ annotation, parse }: Bounded, limit: string, request: string, warn: (message: string) => void): string {
  if ((parse(limit) ?? 0) >= (parse(request) ?? 0)) return limit
  warn(`${annotation}: ${limit} is less than the request; the sidecar has ${request}.`)
  return request
}
