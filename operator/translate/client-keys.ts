import type { ClientKey } from '../../proxy/routing-table/index.ts'
import { type ClientKeyEntry, type ClientKeyResource, EXPIRES_ANNOTATION, objectKey, type Resources } from '../resources/snapshot.ts'
import { byText, inPrecedence } from './precedence.ts'
import { type Problem, problem } from './problems.ts'

export interface BuiltClientKeys {
  readonly clientKeys: readonly ClientKey[]
  readonly problems: readonly Problem[]
}

const MIN_CHARACTERS = 24
const MAX_NAME_CHARACTERS = 63
const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/

/** What a Secret's keys grant; undefined = they grant nothing. Doubt refuses: a key whose expiry cannot be read is not accepted. */
type Grant = Omit<ClientKey, 'sha256'> | undefined

/**
 * Each entry of a labelled Secret is one key of the client "namespace/secretName". A key that two Secrets hold belongs to the one that
 * comes first, so a copied key cannot change whose it is.
 */
export function translateClientKeys(resources: Resources): BuiltClientKeys {
  const owners = new Map<string, string>()
  const clientKeys: ClientKey[] = []
  const problems: Problem[] = []
  for (const secret of inPrecedence(resources.clientKeys)) {
    const { grant, problems: found } = readGrant(secret)
    problems.push(...found)
    for (const entry of [...secret.entries].sort((a, b) => byText(a.name, b.name))) {
      const wrong = judgeKey(entry, secret, owners)
      if (wrong !== undefined) problems.push(wrong)
      else if (grant !== undefined) {
        owners.set(entry.sha256, `${objectName(secret)}, entry "${entry.name}"`)
        clientKeys.push({ ...grant, sha256: entry.sha256 })
      }
    }
  }
  return { clientKeys: clientKeys.sort((a, b) => byText(`${a.client} ${a.sha256}`, `${b.client} ${b.sha256}`)), problems }
}

const objectName = (secret: ClientKeyResource): string => `Secret ${objectKey(secret.metadata)}`

function readGrant(secret: ClientKeyResource): { grant: Grant; problems: readonly Problem[] } {
  const { namespace, name, annotations } = secret.metadata
  const object = objectName(secret)
  if (name.length > MAX_NAME_CHARACTERS)
    return { grant: undefined, problems: [problem('ClientSecretNameTooLong', object, 'metadata.name', name)] }
  const problems = secret.entries.length === 0 ? [problem('ClientSecretEmpty', object, 'data')] : []
  const expires = annotations[EXPIRES_ANNOTATION]
  const client = { client: `${namespace}/${name}`, namespace }
  if (expires === undefined) return { grant: client, problems }
  const expiresAtMs = RFC_3339.test(expires) ? Date.parse(expires) : Number.NaN
  if (Number.isFinite(expiresAtMs)) return { grant: { ...client, expiresAtMs: Math.max(0, expiresAtMs) }, problems }
  const wrong = problem('ClientKeyExpiryInvalid', object, `metadata.annotations.${EXPIRES_ANNOTATION}`, expires)
  return { grant: undefined, problems: [...problems, wrong] }
}

function judgeKey(entry: ClientKeyEntry, secret: ClientKeyResource, owners: ReadonlyMap<string, string>): Problem | undefined {
  const at = `data.${entry.name}`
  const object = objectName(secret)
  if (entry.characters < MIN_CHARACTERS) return problem('ClientKeyTooShort', object, at, entry.name, String(entry.characters))
  if (!entry.sendable) return problem('ClientKeyUnsendable', object, at, entry.name)
  const owner = owners.get(entry.sha256)
  return owner === undefined ? undefined : problem('ClientKeyDuplicate', object, at, entry.name, owner)
}
