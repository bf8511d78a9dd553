import { METERED, type Meter } from './meter.ts'

const UNITS = ['requests', 'tokens'] as const

/** `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` as OpenAI has them: of each unit the meter with the least remaining. */
export function rateHeaders(meters: readonly Meter[], nowMs: number): string[] {
  const list: string[] = []
  for (const unit of UNITS) {
    const strictest = leastLeft(
      meters.filter(({ limit }) => METERED[limit].unit === unit),
      nowMs,
    )
    if (strictest === undefined) continue
    list.push(`x-ratelimit-limit-${unit}`, String(strictest.max))
    list.push(`x-ratelimit-remaining-${unit}`, String(Math.floor(leftOf(strictest, nowMs))))
    list.push(`x-ratelimit-reset-${unit}`, durationText(strictest.window.emptyInMs(nowMs)))
  }
  return list
}

const leftOf = ({ cap, window }: Meter, nowMs: number): number => Math.max(0, cap - window.used(nowMs))

function leastLeft([first, ...rest]: readonly Meter[], nowMs: number): Meter | undefined {
  return first && rest.reduce((least, one) => (leftOf(one, nowMs) < leftOf(least, nowMs) ? one : least), first)
}

/** As Go writes it: "12ms", "1s", "6m0s", "1h0m0s". */
function durationText(ms: number): string {
  if (ms < 1000) return `${Math.ceil(ms)}ms`
  const seconds = Math.ceil(ms / 1000)
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  return `${hours > 0 ? `${hours}h` : ''}${seconds >= 60 ? `${minutes}m` : ''}${seconds % 60}s`
}
