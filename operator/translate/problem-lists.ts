import { byText } from './precedence.ts'
import type { Problem } from './problems.ts'
import { reuse } from './reuse.ts'

export interface ProblemLists {
  /** In the order of objects and of fields. */
  readonly all: readonly Problem[]
  readonly byObject: ReadonlyMap<string, readonly Problem[]>
}

export const NO_PROBLEMS: readonly Problem[] = []

/** Each problem once, by the object it is in. What did not change since `before` is the same list. */
export function listProblems(found: readonly (readonly Problem[])[], before: ProblemLists): ProblemLists {
  const groups = Map.groupBy(found.flat(), ({ object }) => object)
  const objects = [...groups.keys()].sort(byText)
  const byObject = new Map(
    objects.map((object) => [object, reuse(before.byObject.get(object), tellOnce(groups.get(object) ?? NO_PROBLEMS))]),
  )
  const same = byObject.size === before.byObject.size && objects.every((object) => byObject.get(object) === before.byObject.get(object))
  return same ? before : { all: [...byObject.values()].flat(), byObject }
}

/** Two rules that share their policy's targets find the same mistakes in them: each is told once. */
function tellOnce(problems: readonly Problem[]): readonly Problem[] {
  const seen = new Map(problems.map((problem) => [`${problem.at} ${problem.code} ${problem.message}`, problem]))
  return [...seen.values()].sort((a, b) => byText(a.at, b.at))
}
