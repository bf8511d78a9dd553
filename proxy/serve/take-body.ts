import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Dialect } from '../dialects/dialect.ts'
import { boundaryOf } from '../dialects/form.ts'
import { plainRequest, type RequestBody, readRequest } from '../dialects/request.ts'
import type { ApiError } from '../errors.ts'
import type { Upload } from '../forward/upload.ts'
import { type BodyLimits, type HeldBytes, readBody } from './body.ts'
import { readForm } from './form-body.ts'

export type TakenBody =
  /** The caller gives `heldBytes` back when the request is over. */
  | { readonly kind: 'body'; readonly body: RequestBody; readonly upload: Upload | undefined; readonly heldBytes: number }
  | { readonly kind: 'error'; readonly error: ApiError }
  | { readonly kind: 'gone' }

const JSON_TYPE = /^application\/([a-z0-9.+-]+[+])?json\s*(;|$)/i
const NO_BYTES = Buffer.alloc(0)

/** What is no request of this route, told from the head alone. */
export function accept({ headers }: IncomingMessage, dialect: Dialect): ApiError | undefined {
  const type = headers['content-type'] ?? ''
  const isJson = dialect.bodies !== 'form' && JSON_TYPE.test(type)
  const isForm = dialect.bodies !== undefined && boundaryOf(type) !== undefined
  if (!isJson && !isForm && !isBodyless(headers, dialect)) return dialect.method === undefined ? unsupported(dialect) : notServed(dialect)
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity')
    return { code: 'unsupported_media_type', message: 'Send the body without content encoding.' }
  return undefined
}

/** Only on routes that we do not know. */
const isBodyless = (headers: IncomingHttpHeaders, { method }: Dialect): boolean =>
  method !== undefined && headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0

const FORMS = {
  form: 'a form, with "Content-Type: multipart/form-data"',
  either: 'JSON or as a form',
  json: 'JSON, with "Content-Type: application/json"',
}

const unsupported = ({ bodies }: Dialect): ApiError => ({
  code: 'unsupported_media_type',
  message: `Send the body as ${FORMS[bodies ?? 'json']}.`,
})

const notServed = ({ method, path }: Dialect): ApiError => ({
  code: 'not_found',
  message: `Nothing is served at ${String(method)} ${path} without a "model", in JSON, in a form, or as ?model= where there is no body. docs/http.md lists the paths.`,
})

/** Reads the body of a request that `accept` has nothing against, as far as it must be read before it is known what is asked. */
export async function takeBody(
  request: IncomingMessage,
  dialect: Dialect,
  { limits, held }: { limits: BodyLimits; held: HeldBytes },
): Promise<TakenBody> {
  const { headers } = request
  const query = dialect.method === undefined ? undefined : queryOf(request.url ?? '')
  if (isBodyless(headers, dialect)) return takeQuery(dialect, query ?? '')
  if (query !== undefined && new URLSearchParams(query).has('model')) return error(TWICE)
  const contentType = headers['content-type'] ?? ''
  const boundary = boundaryOf(contentType)
  const read = boundary === undefined ? await readBody(request, limits, held) : await readForm(request, { boundary, limits, held })
  if (read.kind === 'gone' || read.kind === 'error') return read
  const { bytes } = read
  const given = query === undefined || query === '' ? {} : { query }
  const parsed =
    read.kind === 'body'
      ? readRequest(bytes, dialect)
      : plainRequest(dialect, {
          bytes,
          model: read.scanner.fields.get('model')?.value ?? '',
          fields: read.scanner.fields,
          contentType,
        })
  if ('body' in parsed)
    return {
      kind: 'body',
      body: { ...parsed.body, ...given },
      upload: read.kind === 'form' ? read.upload : undefined,
      heldBytes: bytes.length,
    }
  held.give(bytes.length)
  const isUnnamed = dialect.method !== undefined && parsed.error.param === 'model'
  return error(isUnnamed ? notServed(dialect) : parsed.error)
}

const error = (given: ApiError): TakenBody => ({ kind: 'error', error: given })

const TWICE: ApiError = {
  code: 'invalid_value',
  message: 'Name the model in the body, or in the query of a request without one.',
  param: 'model',
}

function takeQuery(dialect: Dialect, query: string): TakenBody {
  const [model = '', second] = new URLSearchParams(query).getAll('model')
  if (model === '') return error(notServed(dialect))
  if (second !== undefined) return error({ code: 'invalid_value', message: '"model" stands more than once in the query.', param: 'model' })
  const parsed = plainRequest(dialect, { bytes: NO_BYTES, model, contentType: '', query })
  return 'error' in parsed ? error(parsed.error) : { kind: 'body', body: parsed.body, upload: undefined, heldBytes: 0 }
}

function queryOf(url: string): string {
  const at = url.indexOf('?')
  return at === -1 ? '' : url.slice(at + 1)
}
