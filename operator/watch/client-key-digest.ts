import { createHash } from 'node:crypto'
import type { ClientKeyEntry } from '../resources/snapshot.ts'

/** Turns a client key into what may be kept of it. A line break at its end, as editors and `echo` leave it, is not part of the key. */
export function digestClientKey(name: string, value: string): ClientKeyEntry {
  const key = value.replace(/\r?\n$/, '')
  return { name, sha256: createHash('sha256').update(key).digest('hex'), characters: key.length, sendable: /^[!-~]*$/.test(key) }
}
