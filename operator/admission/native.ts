import type { Fields } from '../validate/problem.ts'

const FIRST_MINOR = 29

/** Whether the cluster runs native sidecars, by what `/version` says: `{"major": "1", "minor": "33+"}`. What says nothing is new. */
export function supportsNative({ major, minor }: Fields): boolean {
  const [m, n] = [Number.parseInt(String(major), 10), Number.parseInt(String(minor), 10)]
  return Number.isNaN(m) || Number.isNaN(n) || m > 1 || n >= FIRST_MINOR
}
