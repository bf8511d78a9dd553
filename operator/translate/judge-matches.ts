import { compileCel, isTimeZone } from '../../proxy/routing-table/index.ts'
import type { RuleMatch } from '../resources/crds.generated.ts'
import { type Problem, problem } from './problems.ts'

/** What no schema can see of conditions: an expression is compiled as proxies do, a time zone looked up. `at`: "spec.rules[0].matches". */
export function judgeMatches(matches: readonly RuleMatch[], at: string, object: string): readonly Problem[] {
  return matches.flatMap(({ cel, schedule }, index) => [
    ...(cel === undefined ? [] : judgeExpression(cel, `${at}[${index}].cel`, object)),
    ...(schedule === undefined || isTimeZone(schedule.timeZone)
      ? []
      : [problem('TimeZoneUnknown', object, `${at}[${index}].schedule.timeZone`, schedule.timeZone)]),
  ])
}

function judgeExpression(cel: string, at: string, object: string): readonly Problem[] {
  const compiled = compileCel(cel)
  if ('program' in compiled) return []
  const { line, column, message } = compiled.mistake
  return [problem('ExpressionInvalid', object, at, `line ${line}, column ${column}`, message)]
}
