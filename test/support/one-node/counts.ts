/** Sums what runs of `node --test` say at their end. PURE. */

const KINDS = ['tests', 'pass', 'fail', 'cancelled', 'skipped', 'todo'] as const
export type Counts = Readonly<Record<(typeof KINDS)[number], number>>

const NOTHING: Counts = { tests: 0, pass: 0, fail: 0, cancelled: 0, skipped: 0, todo: 0 }

/** `output`: of one run, by the spec reporter. A run that failed without a failed test (it broke, or skipped one) counts as one. */
export function countsIn(output: string, code: number): Counts {
  const said = (kind: string): number => Number([...output.matchAll(new RegExp(`^ℹ ${kind} (\\d+)$`, 'gm'))].at(-1)?.[1] ?? 0)
  const counts = Object.fromEntries(KINDS.map((kind) => [kind, said(kind)]))
  const all = { ...NOTHING, ...counts }
  return code !== 0 && all.fail === 0 ? { ...all, tests: all.tests + 1, fail: 1 } : all
}

export function summed(runs: readonly Counts[]): Counts {
  return runs.reduce((sum, one) => Object.assign({}, ...KINDS.map((kind) => ({ [kind]: sum[kind] + one[kind] }))), NOTHING)
}

export const linesOf = (counts: Counts): string => KINDS.map((kind) => `ℹ ${kind} ${counts[kind]}`).join('\n')
