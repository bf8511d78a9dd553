import type { ASTNode } from '@marcbachmann/cel-js'

/** All that an expression may call: each takes time in proportion to what it looks at. */
const CALLS: ReadonlySet<string> = new Set([
  'has',
  'size',
  'contains',
  'startsWith',
  'endsWith',
  'lowerAscii',
  'upperAscii',
  'int',
  'double',
  'string',
  'bool',
  'dyn',
  'type',
  'all',
  'exists',
  'exists_one',
  'map',
  'filter',
])
const LOOPS: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'map', 'filter'])

interface Found {
  readonly message: string
  readonly at: number
}

/**
 * The first thing that could take long. A loop within a loop may only look through what it gets from the loop around it, such as the parts
 * of a message: together they look at no more than there is.
 */
export function forbidden(node: ASTNode, variable?: string): Found | undefined {
  if (node.op === 'call' || node.op === 'rcall') {
    const [name] = node.args
    if (!CALLS.has(name)) return { message: `${name}() is not available here`, at: node.start }
  }
  if (node.op !== 'rcall' || !LOOPS.has(node.args[0])) return first(childrenOf(node), variable)
  const [, range, [item, ...bodies]] = node.args
  if (variable !== undefined && rootOf(range) !== variable)
    return { message: `a loop inside another may only look through what that one gives it, such as ${variable}.content`, at: range.start }
  const named = item?.op === 'id' ? item.args : ''
  return forbidden(range, variable) ?? first(bodies, named)
}

const first = (nodes: readonly ASTNode[], variable: string | undefined): Found | undefined => {
  for (const node of nodes) {
    const found = forbidden(node, variable)
    if (found !== undefined) return found
  }
  return undefined
}

export const hasLoop = (node: ASTNode): boolean => (node.op === 'rcall' && LOOPS.has(node.args[0])) || childrenOf(node).some(hasLoop)

/** The variable that a path such as `m.content[0]` begins with; '' = it is no plain path. */
function rootOf(node: ASTNode): string {
  if (node.op === 'id') return node.args
  return node.op === '.' || node.op === '[]' ? rootOf(node.args[0]) : ''
}

function childrenOf(node: ASTNode): readonly ASTNode[] {
  const found: ASTNode[] = []
  const collect = (value: unknown): void => {
    if (Array.isArray(value)) for (const one of value) collect(one)
    else if (isNode(value)) found.push(value)
  }
  collect(node.args)
  return found
}

const isNode = (value: unknown): value is ASTNode => typeof value === 'object' && value !== null && 'op' in value && 'args' in value
