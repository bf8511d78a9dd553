/** The hashes of the chosen texts, as the repository keeps them instead of the texts: a line each of kind, part and hash. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Sample } from './corpus.ts'
import { KINDS } from './sources.ts'

const FILE = join(import.meta.dirname, 'hashes.txt')
/** Held-out texts of each kind that must be the known ones. */
const FEWEST = 200

const lineOf = ({ kind, part, hash }: Sample): string => `${kind}\t${part}\t${hash}`

export const writeHashes = (samples: readonly Sample[]): void => writeFileSync(FILE, `${samples.map(lineOf).join('\n')}\n`)

/** The texts that are known. Packages move on: some texts may have changed, but not too many. */
export function knownOf(samples: readonly Sample[]): readonly Sample[] {
  const known = new Set(readFileSync(FILE, 'utf8').split('\n'))
  const found = samples.filter((sample) => known.has(lineOf(sample)))
  for (const kind of KINDS) {
    const held = found.filter((sample) => sample.kind === kind && sample.part === 'held out').length
    if (held < FEWEST) throw new Error(`Only ${held} of the held-out texts (${kind}) are the known ones: --rehash takes those of today.`)
  }
  return found
}
