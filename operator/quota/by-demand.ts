import { demandOf, EPSILON, isBlocked, type NewCaps, type Pot, sum } from './pot.ts'

/** Smaller differences than this part of a share move nothing. */
const TOLERANCE = 0.01
/** A holder that wants so much of its cap is soon without room. */
const NEARLY_ALL = 0.8

/**
 * Large limits: each proxy has a share in proportion to its demand; what nobody wants is spread evenly, so that a burst finds room anywhere.
 * A share is taken away only where another lacks it.
 */
export function byDemand({ available, unit, holders }: Pot): NewCaps {
  const caps: NewCaps = holders.map(() => undefined)
  const fair = fairShares(
    available,
    holders.map((holder) => demandOf(holder)),
  )
  let free = available - sum(holders.map(({ held }) => held))
  let lacking = 0
  holders.forEach((holder, index) => {
    const share = fair[index] ?? 0
    const lack = share - holder.cap
    if (lack <= Math.max(unit, TOLERANCE * share) && !(isBlocked(holder) && lack > 0)) return
    const granted = Math.max(0, Math.min(lack, holder.held - holder.cap + free))
    free -= Math.max(0, holder.cap + granted - holder.held)
    if (granted > 0) caps[index] = holder.cap + granted
    if (demandOf(holder) > NEARLY_ALL * holder.cap) lacking += lack - granted
  })
  if (lacking > EPSILON) {
    holders.forEach(({ cap, settled }, index) => {
      const share = fair[index] ?? 0
      if (settled && cap - share > Math.max(unit, TOLERANCE * share)) caps[index] = share
    })
  }
  return caps
}

function fairShares(available: number, demands: readonly number[]): readonly number[] {
  const all = sum(demands)
  const spare = Math.max(0, available - all) / demands.length
  const part = all > available ? Math.max(0, available) / all : 1
  return demands.map((demand) => demand * part + spare)
}
