import { SecretValue } from '../resources/secret-value.ts'
import { CLIENT_KEY_LABEL, type ClientKeyResource, type SecretResource } from '../resources/snapshot.ts'
import type { Fields } from '../validate/problem.ts'
import { textMapOf } from '../validate/raw-fields.ts'
import { digestClientKey } from './client-key-digest.ts'
import { projectMetadata } from './project-metadata.ts'
import { readSecretValues } from './secret-values.ts'

/** Digests only: the keys themselves are forgotten here. */
export function projectClientKeys(raw: Fields): ClientKeyResource {
  return { metadata: projectMetadata(raw), entries: [...valuesOf(raw)].map(([name, value]) => digestClientKey(name, value)) }
}

/** Undefined for a Secret of client keys: those are nobody's credential. */
export function projectSecret(raw: Fields): SecretResource | undefined {
  const metadata = projectMetadata(raw)
  if (metadata.labels[CLIENT_KEY_LABEL] === 'true') return undefined
  return { metadata, entries: Object.fromEntries([...valuesOf(raw)].map(([name, value]) => [name, new SecretValue(value)])) }
}

/** Deep equality sees no difference between two hidden values. */
export function sameSecret(a: SecretResource, b: SecretResource): boolean {
  const names = Object.keys(a.entries)
  return (
    names.length === Object.keys(b.entries).length &&
    names.every((name) => a.entries[name]?.reveal() === b.entries[name]?.reveal()) &&
    JSON.stringify(a.metadata) === JSON.stringify(b.metadata)
  )
}

const valuesOf = ({ data }: Fields): ReadonlyMap<string, string> => readSecretValues({ data: textMapOf(data) }, {}).values
