import type { Target } from './target.ts'
import { answers } from './targets/answers.ts'
import { requests } from './targets/requests.ts'
import { resources } from './targets/resources.ts'
import { streams } from './targets/streams.ts'
import { tables } from './targets/tables.ts'

/** A new reader of outside input = a row in one of these files, and inputs under `corpus/`. */
export const TARGETS: readonly Target[] = [...requests, ...streams, ...answers, ...tables, ...resources]

export function targetOf(name: string): Target {
  const found = TARGETS.find((target) => target.name === name)
  if (found === undefined) throw new Error(`no target ${name}; there are ${TARGETS.map((target) => target.name).join(', ')}`)
  return found
}
