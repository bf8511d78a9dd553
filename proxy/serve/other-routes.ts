import type { Dialect } from '../dialects/dialect.ts'
import { otherDialect } from '../dialects/other.ts'
import type { CompiledTable } from '../routing-table/compiled.ts'
import type { ExtraRoute } from '../routing-table/v1.ts'

const METHODS: readonly ExtraRoute['method'][] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']
/** Read in one way by everybody: no segment that is empty or begins with a dot, nothing encoded. */
const PLAIN_PATH = /^(\/(?!\.)[A-Za-z0-9._~:-]+)+$/
/** What the proxy itself answers. */
const OWN = /^\/v1\/(models(\/|$)|route:explain$)/

/** "METHOD /path" of each extra route in a table: read once a table. */
const listed = new WeakMap<CompiledTable, ReadonlySet<string>>()

function routesOf(table: CompiledTable): ReadonlySet<string> {
  const known = listed.get(table)
  if (known !== undefined) return known
  const routes = new Set(table.table.models.flatMap(({ extraRoutes = [] }) => extraRoutes.map(({ method, path }) => `${method} ${path}`)))
  listed.set(table, routes)
  return routes
}

/** A route beyond the known ones that a model may take: any `POST /v1/…`, and what a model lists. Undefined = there is none. */
export function otherRoute(table: CompiledTable, given: string | undefined, path: string): Dialect | undefined {
  const method = METHODS.find((one) => one === given)
  if (method === undefined || OWN.test(path) || !PLAIN_PATH.test(path)) return undefined
  const isOpen = (method === 'POST' && path.startsWith('/v1/')) || routesOf(table).has(`${method} ${path}`)
  return isOpen ? otherDialect(method, path) : undefined
}
