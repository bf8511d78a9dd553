import type { Backend, Credential } from '../../proxy/routing-table/index.ts'
import type { BackendAuth, Backend as BackendSpec, Engine, SecretKeyRef } from '../resources/crds.generated.ts'
import type { ModelResource } from '../resources/snapshot.ts'
import type { Lookups } from './lookups.ts'
import { objectName } from './names.ts'
import { opaqueId } from './opaque-id.ts'
import { type Problem, problem } from './problems.ts'

export interface BuiltAuth {
  /** Undefined where no credential is usable: the backend must then not be called at all. */
  readonly auth: NonNullable<Backend['auth']> | undefined
  readonly credentials: readonly Credential[]
  readonly problems: readonly Problem[]
}

const AUTHORIZATION = 'authorization'
/** Where the engine's usual header is another than `Authorization: Bearer KEY`. */
const USUAL_HEADER: Readonly<Partial<Record<Engine, string>>> = { Anthropic: 'x-api-key' }
/** One line of visible ASCII; spaces between words, not around them. */
const SENDABLE = /^[!-~]+( +[!-~]+)*$/
/** Servers refuse longer headers. */
const MAX_CHARACTERS = 8192
/** What the table takes. */
const MAX_ID_CHARACTERS = 300

/** Looks up the secrets of one backend. One that is missing is skipped, as long as another of its list is there. `at` is the backend's path. */
export function resolveAuth(
  auth: BackendAuth,
  { name, engine }: Pick<BackendSpec, 'name' | 'engine'>,
  at: string,
  model: ModelResource,
  lookups: Lookups,
): BuiltAuth {
  const found = auth.secretRefs.map((ref, index) => resolveSecret(ref, `${at}.auth.secretRefs[${index}]`, model, lookups))
  const credentials = found.filter((one) => 'value' in one)
  const problems = found.filter((one) => 'code' in one)
  if (credentials.length === 0) problems.push(problem('NoCredential', objectName(model), at, name))
  const ids = credentials.map(({ id }) => id)
  return { auth: ids.length === 0 ? undefined : { ...readHeader(auth, engine), credentials: ids }, credentials, problems }
}

/** `Bearer` goes with Authorization only; any other header carries the bare key unless a scheme is given. */
export function readHeader(auth: BackendAuth, engine: Engine): { header: string; scheme: string } {
  const header = auth.header?.name?.toLowerCase() ?? USUAL_HEADER[engine] ?? AUTHORIZATION
  return { header, scheme: auth.header?.scheme ?? (header === AUTHORIZATION ? 'Bearer' : '') }
}

function resolveSecret(ref: SecretKeyRef, at: string, model: ModelResource, lookups: Lookups): Credential | Problem {
  const object = objectName(model)
  const key = `${model.metadata.namespace}/${ref.name}`
  if (lookups.holdsClientKeys(key)) return problem('SecretIsClientKeys', object, at, ref.name)
  const secret = lookups.secret(key)
  if (secret === undefined) return problem('SecretNotFound', object, at, ref.name)
  const value = Object.hasOwn(secret.entries, ref.key) ? secret.entries[ref.key]?.reveal() : undefined
  if (value === undefined) return problem('SecretKeyNotFound', object, at, ref.name, ref.key)
  const trimmed = value.replace(/\r?\n$/, '')
  if (trimmed.length > MAX_CHARACTERS || !SENDABLE.test(trimmed)) return problem('CredentialUnusable', object, at, ref.name, ref.key)
  const id = `${key}/${ref.key}`
  return { id: id.length > MAX_ID_CHARACTERS ? opaqueId(id) : id, value: trimmed }
}
