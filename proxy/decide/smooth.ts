/**
 * Smooth weighted round robin (nginx's): each turn every member gains its share, the richest is chosen and pays one whole turn. Weights
 * 5:1:1 give A A B A C A A, never A A A A A B C. Shares are parts of one (weight ÷ total), so that what a member is owed stays small when
 * weights, or the members themselves, change. Never more than one turn among three members (their owed turns add up to 0, and the richest
 * is chosen), measured 1.25 among sixteen.
 */
export interface Member {
  readonly id: string
  readonly weight: number
}

type Owed = ReadonlyMap<string, number>

/** What each member gains in a turn. */
function sharesOf(members: readonly Member[]): (member: Member) => number {
  let total = 0
  for (const { weight } of members) total += weight
  const even = 1 / members.length
  return ({ weight }) => (total > 0 ? weight / total : even)
}

/** Whose turn it is. Ties go to the earlier member. Undefined only for an empty list. */
export function smoothNext<M extends Member>(members: readonly M[], owed: Owed | undefined): M | undefined {
  const shareOf = sharesOf(members)
  let best: M | undefined
  let most = Number.NEGATIVE_INFINITY
  for (const member of members) {
    const part = shareOf(member)
    const after = (owed?.get(member.id) ?? 0) + part
    if (part > 0 && after > most + 1e-9) {
      best = member
      most = after
    }
  }
  return best
}

/** Uses up a turn, in place: called by the cursor's owner only. Members that did not take part keep what they are owed. */
export function smoothAdvance(owed: Map<string, number>, members: readonly Member[], chosen: string): void {
  const shareOf = sharesOf(members)
  for (const member of members) owed.set(member.id, (owed.get(member.id) ?? 0) + shareOf(member) - (member.id === chosen ? 1 : 0))
}
