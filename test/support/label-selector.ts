import { isFields } from '../../operator/validate/problem.ts'

export type Labels = Readonly<Record<string, string>>

/** Whether a label selector, as it stands in an object, takes these labels. The empty one takes all; throws on what it cannot read. */
export function selects(selector: unknown, labels: Labels): boolean {
  if (!isFields(selector)) throw new Error(`no label selector: ${JSON.stringify(selector)}`)
  const { matchLabels = {}, matchExpressions = [], ...rest } = selector
  if (Object.keys(rest).length > 0 || !isFields(matchLabels) || !Array.isArray(matchExpressions))
    throw new Error(`no label selector: ${JSON.stringify(selector)}`)
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every((expression: unknown) => holds(expression, labels))
  )
}

/** NotIn holds where there is no such label, as in Kubernetes. */
function holds(expression: unknown, labels: Labels): boolean {
  if (!isFields(expression) || typeof expression['key'] !== 'string') throw new Error(`no expression: ${JSON.stringify(expression)}`)
  const { key, operator, values = [] } = expression
  const label = labels[key]
  const listed = Array.isArray(values) && label !== undefined && values.includes(label)
  switch (operator) {
    case 'In':
      return listed
    case 'NotIn':
      return !listed
    case 'Exists':
      return label !== undefined
    case 'DoesNotExist':
      return label === undefined
    default:
      throw new Error(`no operator of label selectors: ${String(operator)}`)
  }
}
