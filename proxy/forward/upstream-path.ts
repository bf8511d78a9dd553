import type { Dialect } from '../dialects/dialect.ts'
import type { RequestBody } from '../dialects/request.ts'
import { rootOf } from '../engines/engine.ts'
import type { Sent } from './run.ts'

/** Where an attempt asks: paths of `/v1` below the endpoint's base path, all others beside it. */
export function upstreamPath({ endpoint: { basePath }, upstreamModel }: Sent, { path }: Dialect, { query }: RequestBody): string {
  const at = path.startsWith('/v1/') ? basePath + path.slice('/v1'.length) : rootOf(basePath) + path
  return query === undefined ? at : `${at}?${withModel(query, upstreamModel)}`
}

function withModel(query: string, upstreamModel: string): string {
  const parameters = new URLSearchParams(query)
  if (!parameters.has('model')) return query
  parameters.set('model', upstreamModel)
  return parameters.toString()
}
