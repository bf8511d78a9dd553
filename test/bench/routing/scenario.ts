/**
 * The scenario of `make bench-routing`, in one place: engines, requests, arrivals, what happens when, what counts as served well, and what
 * has to come out. The same for every strategy, in virtual time and over sockets. Changed only together with its words in the report.
 */
import type { EndpointStrategy, Strategy } from '../../../proxy/routing-table/v1.ts'

/** An engine of speed 1: about a model of 8 billion parameters on one card. A speed divides all of its times. */
export interface EngineShape {
  /** Sequences that run at once; others wait in order of arrival. */
  readonly maxBatch: number
  /** Tokens that one step takes at most: one of each sequence that writes, the rest for prompts, oldest first. */
  readonly stepTokens: number
  readonly promptTokensPerSecond: number
  /** A step takes so long, and longer by each sequence that writes. */
  readonly stepMs: number
  readonly sequenceMs: number
}

export const ENGINE: EngineShape = { maxBatch: 32, stepTokens: 2048, promptTokensPerSecond: 8000, stepMs: 15, sequenceMs: 0.3 }

export const SPEEDS: readonly number[] = [1, 1, 0.6, 0.4]

/**
 * The second engine is cut: one of the two fastest, so that as much as can be is lost (23 % of all), and not the first, so that nothing
 * that prefers the first of equals is helped or harmed by it.
 */
export const CUT = { engine: 1, speed: 0.3 } as const

/** Seconds from the start: the cut comes at half time. */
export interface Timeline {
  readonly cutAt: number
  readonly recoversAt: number
  readonly endsAt: number
}

export const VIRTUAL_TIMELINE: Timeline = { cutAt: 120, recoversAt: 180, endsAt: 240 }
/** In real time: shorter, with the same things to happen, and 40 s to see what comes after the recovery. */
export const SOCKET_TIMELINE: Timeline = { cutAt: 75, recoversAt: 110, endsAt: 150 }

/** Lengths are lognormal: half of all are below the median, few are very long. Tokens. */
export interface Lengths {
  readonly median: number
  readonly sigma: number
  readonly least: number
  readonly most: number
}

export const PROMPTS: Lengths = { median: 400, sigma: 1.1, least: 16, most: 6144 }
export const OUTPUTS: Lengths = { median: 130, sigma: 0.8, least: 4, most: 1024 }

/** Of what all engines together can do when each has a full batch all the time and its share of the work. */
export const LOADS = [0.7, 0.85] as const
/**
 * Times between arrivals (a run has as many as its load says): exponential, or Gamma distributed with a coefficient of variation of 3 (vLLM's load generator calls that a
 * burstiness of 0.11): clusters of some nine requests at once. Surges are more than all engines together can do, for seconds. They were the
 * first choice for bursty, and are shown without a gate: at 85 % one queue for all engines (`ideal.ts`) has 1.2 times the goodput of round
 * robin in them, so that no router can hold a gate of 1.3 there.
 */
export const ARRIVALS = ['Poisson', 'bursty'] as const
export type Arrivals = (typeof ARRIVALS)[number] | 'surges'
export const VARIATION = 3
/** 2.5 times the rate, between them half of it; both last an exponential time with these means, in seconds. */
export const SURGES = { rate: 2.5, seconds: 2, restRate: 0.5, restSeconds: 6 } as const

/** For the report. */
export const BURST_WORDS = `A run has exactly as many requests as its load says. Arrivals are Poisson, or bursty: Gamma distributed times between them with a coefficient of variation of ${VARIATION}, clusters of some nine requests at once. Surges have ${SURGES.rate} times the rate for ${SURGES.seconds} s on average, then half of it for ${SURGES.restSeconds} s. They were the first choice for bursty; they have no gate, as at 85 % one queue itself has only 1.2 times the goodput of round robin in them.`

export const PROXIES = [1, 4] as const

/**
 * What counts as served well: the bounds of MLPerf Inference for a chat model with 70 billion parameters behind a server (Llama 2 70B:
 * 2,000 ms and 200 ms). Every engine of ours can hold both as long as its batch is not overfull.
 */
export const SLO = { firstTokenMs: 2000, tokenMs: 200 } as const

/** Each proxy reads each engine's queue so often, with the jitter of its prober; not known at the start. */
export const SCRAPE = { everyMs: 5000, jitter: 0.2 } as const

/** Four engines are four targets of one policy, of equal weight. */
export const TARGET_STRATEGIES = [
  'Adaptive',
  'WeightedRoundRobin',
  'LeastLoad',
  'WeightedRandom',
  'LowestLatency',
] as const satisfies readonly Strategy[]
/** Four engines are four endpoints of one model. */
export const ENDPOINT_CHOICES = ['PowerOfTwo', 'RoundRobin', 'LeastLoad', 'Random'] as const satisfies readonly EndpointStrategy[]

/** How engines stand behind a name, and what chooses. */
export type Chooser =
  | { readonly kind: 'targets'; readonly strategy: Strategy }
  | { readonly kind: 'endpoints'; readonly strategy: EndpointStrategy }
  | Ideal
/** No router: one queue for all engines, from which each takes when it has room. What nobody who has to choose at once can beat by much. */
export type Ideal = { readonly kind: 'ideal'; readonly strategy: 'one queue' }

/** Bounds of the gates. */
export const GATES = {
  /** Lower 95 % bound of goodput ÷ round robin's. */
  toRoundRobin: 1.3,
  /** Lower 95 % bound of goodput ÷ least-loaded's, in every cell. */
  toLeastLoad: 0.95,
  /** 99th percentile of the time to the first token ÷ round robin's. */
  firstToken: 0.6,
  /** Spread with four proxies ÷ the larger of one proxy's and that of independent draws (1). */
  herding: 1.5,
  /** Of its share before the cut the recovered engine has so much again, after so many seconds, and keeps it. */
  recoveredShare: 0.9,
  recoveredAfterSeconds: 30,
} as const

/** Spread of choices is counted in windows of half the time between two scrapes. */
export const WINDOW_MS = 2500
/** Time at the start that the spread leaves out: nothing is known yet. */
export const SETTLING_MS = 20_000
/** The share of the recovered engine: over so long, moving. */
export const SHARE_WINDOW_MS = 5000

export interface Cell {
  readonly load: number
  readonly arrivals: Arrivals
  readonly proxies: number
}
