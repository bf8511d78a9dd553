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
/** They look at no more of a text than the expression itself is long. */
const SHORT_CALLS: ReadonlySet<string> = new Set(['has', 'type', 'dyn', 'bool', 'startsWith', 'endsWith'])
const COMPARING: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>='])
/** Bounded by what a head may hold. */
const SMALL_ROOTS: ReadonlySet<string> = new Set(['client', 'headers', 'facts'])
const BRANCHING: ReadonlySet<string> = new Set(['&&', '||'])
/** Of one turn of a loop, or one side of `&&` and `||`: that much an evaluation error costs, and each may hold one. */
const MISTAKE_UNITS = 40

/** `request.messages[0].content`: undefined stands for an index that is known only when it runs. */
export interface Path {
  readonly root: string
  readonly steps: readonly (string | number | undefined)[]
}

export interface Reading extends Path {
  /** All of it is looked at, and not only its outermost value. */
  readonly deep: boolean
}

export interface Loop {
  /** Where its list is, or how long a list of constants it is. */
  readonly over: Path | number
  readonly variable: string
  readonly body: Reads
}

/** What an expression looks at each time it runs, so that the time it takes is known before it is run. */
export interface Reads {
  readonly units: number
  /** Those that take the longer the more there is. */
  readonly readings: readonly Reading[]
  readonly loops: readonly Loop[]
}

export interface Forbidden {
  readonly message: string
  readonly at: number
}

interface Draft {
  units: number
  readonly readings: Reading[]
  readonly loops: Loop[]
  readonly forbidden: Forbidden[]
}

/** `forbidden`: what takes a time that nobody can tell. Empty = it may run. */
export function readsOf(ast: ASTNode): { readonly reads: Reads; readonly forbidden: readonly Forbidden[] } {
  const forbidden: Forbidden[] = []
  return { reads: draft([ast], forbidden), forbidden }
}

/** How much of what an operand is gets looked at: a glance, its length, or all of it. */
type Look = 'glance' | 'whole' | 'deep'

function draft(nodes: readonly ASTNode[], forbidden: Forbidden[], look: Look = 'glance'): Reads {
  const into: Draft = { units: MISTAKE_UNITS, readings: [], loops: [], forbidden }
  for (const node of nodes) gather(node, into, look)
  return into
}

function gather(node: ASTNode, into: Draft, look: Look): void {
  into.units += BRANCHING.has(node.op) ? MISTAKE_UNITS : 1
  const path = pathOf(node)
  if (path !== undefined) {
    if (look !== 'glance') into.readings.push({ ...path, deep: look === 'deep' })
    gatherInside(node, into)
  } else if (node.op === 'rcall' && LOOPS.has(node.args[0])) gatherLoop(node, into)
  else {
    if (node.op === 'call' || node.op === 'rcall') judgeCall(node.args[0], node, into)
    for (const child of childrenOf(node)) gather(child, into, lookAtOperands(node, look))
  }
}

function lookAtOperands(node: ASTNode, look: Look): Look {
  if (node.op === 'call' || node.op === 'rcall') return SHORT_CALLS.has(node.args[0]) ? 'glance' : 'whole'
  if (node.op === 'in') return isGlance(node.args[1]) ? 'glance' : 'deep'
  if (COMPARING.has(node.op)) return childrenOf(node).some(({ op }) => op === 'value') ? 'glance' : 'deep'
  if (BRANCHING.has(node.op) || node.op === '!_') return 'glance'
  if (node.op === '?:' || node.op === 'list' || node.op === 'map') return look
  return look === 'deep' ? 'deep' : 'whole'
}

const isGlance = (list: ASTNode): boolean => constantsIn(list) !== undefined || SMALL_ROOTS.has(pathOf(list)?.root ?? '')

function judgeCall(name: string, { start }: ASTNode, { forbidden }: Draft): void {
  if (!CALLS.has(name)) forbidden.push({ message: `${name}() is not available here`, at: start })
}

/** What stands in a path beside its names: indices, and filters of the lists that it goes through. */
function gatherInside(node: ASTNode, into: Draft): void {
  if (node.op === '[]') gather(node.args[1], into, 'glance')
  if (node.op === '.' || node.op === '[]') gatherInside(node.args[0], into)
  if (node.op === 'rcall') gatherLoop(node, into)
}

/**
 * A loop looks through a part of what there is, or through constants. What another loop has made could be larger than all there is, and
 * there would be no telling how much.
 */
function gatherLoop(node: Extract<ASTNode, { op: 'rcall' }>, into: Draft): void {
  const [, range, [item, ...bodies]] = node.args
  const over = constantsIn(range) ?? pathOf(range)
  if (over === undefined)
    into.forbidden.push({ message: 'a loop may only look through a part of the request, or a list of constants', at: range.start })
  else {
    if (typeof over !== 'number') gatherInside(range, into)
    // What map makes may be looked at in any way.
    const body = draft(bodies, into.forbidden, node.args[0] === 'map' ? 'deep' : 'glance')
    into.loops.push({ over, variable: item?.op === 'id' ? item.args : '', body })
  }
}

const constantsIn = (node: ASTNode): number | undefined =>
  node.op === 'list' && node.args.every(({ op }) => op === 'value') ? node.args.length : undefined

function pathOf(node: ASTNode): Path | undefined {
  if (node.op === 'id') return { root: node.args, steps: [] }
  if (node.op === 'rcall') return node.args[0] === 'filter' ? pathOf(node.args[1]) : undefined
  if (node.op !== '.' && node.op !== '[]') return undefined
  const before = pathOf(node.args[0])
  return before && { root: before.root, steps: [...before.steps, node.op === '.' ? node.args[1] : indexOf(node.args[0], node.args[1])] }
}

/** After a filter an index is that of another item. */
function indexOf(list: ASTNode, index: ASTNode): string | number | undefined {
  if (list.op === 'rcall' || index.op !== 'value') return undefined
  const value: unknown = index.args
  if (typeof value === 'bigint') return Number(value)
  return typeof value === 'string' ? value : undefined
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
