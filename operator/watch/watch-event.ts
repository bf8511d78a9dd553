import { type ApiError, statusError } from '../kube/api-error.ts'
import { type Fields, isFields } from '../validate/problem.ts'

/** One line of a watch. */
export type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: Fields }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string; readonly endsInitialList: boolean }

/** An ERROR event: the watch is over. */
export class ErrorEvent extends Error {
  override readonly name = 'ErrorEvent'
  readonly error: ApiError

  constructor(error: ApiError) {
    super(error.message)
    this.error = error
  }
}

/** A line that is no event: it was cut, or something in between wrote it. */
export class BadLineError extends Error {
  override readonly name = 'BadLineError'
}

const INITIAL_LIST_ENDS = 'k8s.io/initial-events-end'

/** Throws a BadLineError or an ErrorEvent. */
export function parseWatchEvent(call: string, line: string): WatchEvent {
  const event = parseLine(call, line)
  const { type, object } = event
  if (type === 'ERROR') throw new ErrorEvent(statusError(call, object))
  if (!isFields(object) || !isFields(object['metadata'])) throw new BadLineError(`${call}: an event without an object`)
  if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED') return { type, object }
  if (type === 'BOOKMARK') return bookmark(object['metadata'])
  throw new BadLineError(`${call}: an event of unknown type`)
}

function parseLine(call: string, line: string): Fields {
  try {
    const event: unknown = JSON.parse(line)
    if (isFields(event)) return event
  } catch {
    // Told below; the parser's own words would quote the line, which may hold a Secret.
  }
  throw new BadLineError(`${call}: a line that is no event`)
}

function bookmark({ resourceVersion, annotations }: Fields): WatchEvent {
  const endsInitialList = isFields(annotations) && annotations[INITIAL_LIST_ENDS] === 'true'
  return { type: 'BOOKMARK', resourceVersion: typeof resourceVersion === 'string' ? resourceVersion : '', endsInitialList }
}
