import { createHash } from 'node:crypto'
import type { Resources } from '../resources/snapshot.ts'
import { canonicalText } from './canonical-text.ts'
import type { LoadProblem } from './yaml.ts'

/** The same text for two snapshots that say the same, whatever the order of their objects. Secret values take part by their digest alone. */
export function fingerprint(resources: Resources, problems: readonly LoadProblem[]): string {
  const secrets = [...resources.secrets].map(([key, { metadata, entries }]) => {
    const digests = Object.entries(entries).map(([name, value]) => [name, digest(value.reveal())] as const)
    return [key, { metadata, digests: new Map(digests) }] as const
  })
  return digest(canonicalText({ ...resources, secrets: new Map(secrets), problems }))
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex')
