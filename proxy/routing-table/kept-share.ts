/**
 * What a proxy keeps of its shares of limits while it has no operator, and what a leader keeps for it meanwhile: both follow one rule, so that
 * a proxy that is cut off and those that go on without it stay within the limit together. PURE.
 */

/** A share is kept whole for so long, then halved after each further one. */
const HALVING_MS = 60_000
/** The last part of 1/64 is never given up: all of these together are less than 2 % of a limit. */
const LEAST_PART = 1 / 64

/** 1 down to 1/64. */
export const keptPart = (lostMs: number): number => Math.max(LEAST_PART, 2 ** -Math.max(0, Math.floor(lostMs / HALVING_MS)))

/** When the least part is reached: a leader gives up what it kept. */
export const KEPT_FOR_MS = HALVING_MS * -Math.log2(LEAST_PART)
