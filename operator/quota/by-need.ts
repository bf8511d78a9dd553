import { demandOf, EPSILON, type Holder, isBlocked, type NewCaps, type Pot, sum } from './pot.ts'

/** Below so many usual requests for each proxy nothing is handed out in advance. */
const SCARCE_REQUESTS = 10
/** Of a day: a busy proxy has room for so many minutes, should it lose its operator. */
const MINUTES_AHEAD = 10
/** Of what is left, divided by proxies: what a busy and what an idle one have in advance. */
const BUSY_PART = 1 / 2
const IDLE_PART = 1 / 64

/**
 * Small limits, and days: what is not used stays with the leader, but for a little in advance that gets less as the limit is used up. Who
 * lacks room for a request is given just that; where there is none, the others give back what they have no use for, and who has had least of
 * what it wants comes first.
 */
export function byNeed(pot: Pot): NewCaps {
  const { available, holders } = pot
  const caps: NewCaps = holders.map(() => undefined)
  let free = available - sum(holders.map(({ held }) => held))
  const grant = (index: number, { held }: Holder, cap: number): void => {
    free -= Math.max(0, cap - held)
    caps[index] = cap
  }
  let waits: Holder | undefined
  for (const [index, holder] of inTurn(holders, available)) {
    const cap = holder.used + holder.need
    if (cap - holder.held <= free + EPSILON) grant(index, holder, cap)
    else {
      waits = holder
      break
    }
  }
  const ahead = waits === undefined ? aheadOf(pot) : () => 0
  holders.forEach((holder, index) => {
    if (holder === waits || caps[index] !== undefined) return
    const spare = Math.max(0, holder.cap - holder.used)
    const most = ahead(holder)
    if (spare < most / 2) {
      const cap = Math.min(holder.used + most, Math.max(holder.held, holder.cap) + Math.max(0, free))
      if (cap > holder.cap + EPSILON) grant(index, holder, cap)
    } else if (spare > 2 * most + EPSILON && holder.settled) caps[index] = holder.used + most
  })
  return caps
}

/** Those without room for a request that could ever have it: who has the smallest part of its demand first. */
function inTurn(holders: readonly Holder[], available: number): readonly (readonly [number, Holder])[] {
  const served = (holder: Holder): number => holder.used / demandOf(holder)
  return [...holders.entries()]
    .filter(([, holder]) => isBlocked(holder) && holder.need <= available + EPSILON)
    .toSorted(([, a], [, b]) => served(a) - served(b))
}

function aheadOf({ window, available, unit, holders }: Pot): (holder: Holder) => number {
  const left = Math.max(0, available - sum(holders.map(({ used }) => used)))
  const each = left / holders.length
  if (each < SCARCE_REQUESTS * unit) return () => 0
  return ({ wanted }) => {
    if (wanted === 0) return window === 'day' ? each * IDLE_PART : 0
    return window === 'day' ? Math.max(each * IDLE_PART, Math.min(each * BUSY_PART, wanted * MINUTES_AHEAD)) : each * BUSY_PART
  }
}
