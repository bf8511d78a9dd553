/**
 * Chooses the texts of the measurement. In: the sources as they lie on this machine. Out: texts of 200 to 4,000 characters, each of one kind,
 * at most five of a file. The hash of a file's path says whether its texts are for developing and calibrating or held out, so that no
 * file is in both; the hash of a text is what the repository keeps of it.
 */
import { createHash } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { plainText } from './plain-text.ts'
import { KINDS, type Kind, SOURCES, type Source, TEXTS_DIR } from './sources.ts'

export interface Sample {
  readonly kind: Kind
  readonly part: 'develop' | 'held out'
  /** Of its text: the first 16 hex digits of SHA-256. */
  readonly hash: string
  readonly text: string
}

const MODULES_DIR = join(import.meta.dirname, '..', '..', '..', 'node_modules')
const PER_FILE = 5
const MIN_CHARACTERS = 200
const MAX_CHARACTERS = 4000
const MAX_FILE_BYTES = 4 * 1024 * 1024
/** Texts of each kind and part. */
const WANTED = 300

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16)

/** 0 to 1, by what `text` says alone. */
const chance = (text: string): number => createHash('sha256').update(text).digest().readUInt32BE(0) / 2 ** 32

export function buildCorpus(): readonly Sample[] {
  const taken = new Set<string>()
  return KINDS.flatMap((kind) => {
    const sources = SOURCES.filter((source) => source.kind === kind)
    return [...pick(sources, 'develop', taken), ...pick(sources, 'held out', taken)]
  })
}

/**
 * Files of the sources by turns, in the order of their hashes. Held-out ones from the other end: those at this end had been looked at when
 * the features were sketched.
 */
function pick(sources: readonly Source[], part: Sample['part'], taken: Set<string>): Sample[] {
  const queues = sources.map((source) => filesOf(source, part))
  const found: Sample[] = []
  while (found.length < WANTED && queues.some((queue) => queue.length > 0)) {
    for (const [index, source] of sources.entries()) {
      const file = queues[index]?.pop()
      if (file === undefined) continue
      for (const text of textsOf(file, source)) {
        const hash = hashOf(text)
        if (taken.has(hash) || found.length >= WANTED) continue
        taken.add(hash)
        found.push({ kind: source.kind, part, hash, text })
      }
    }
  }
  return found
}

interface File {
  readonly path: string
  /** Without what differs between machines. */
  readonly name: string
}

function filesOf({ below, glob, not }: Source, part: Sample['part']): File[] {
  const cwd = below === undefined ? TEXTS_DIR : MODULES_DIR
  return globSync(glob, { cwd })
    .filter((name) => not?.test(name) !== true && chance(`part ${name}`) < 0.5 === (part === 'develop'))
    .map((name) => ({ name, path: join(cwd, name), order: chance(name) }))
    .sort((a, b) => (part === 'develop' ? a.order - b.order : b.order - a.order))
}

/** Texts spread over the file, of a size that is spread evenly over the magnitudes. */
function textsOf({ path, name }: File, { kind, form }: Source): string[] {
  const bytes = readFileSync(path)
  if (bytes.length > MAX_FILE_BYTES) return []
  const raw = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString()
  const whole = plainText(raw, form, chance(`compact ${name}`) < 0.5)
  const texts: string[] = []
  for (let start = 0; start + MIN_CHARACTERS <= whole.length && texts.length < PER_FILE; ) {
    const size = MIN_CHARACTERS * (MAX_CHARACTERS / MIN_CHARACTERS) ** chance(`size ${start} ${name}`)
    const text = piece(whole, start, size)
    if (text.length >= MIN_CHARACTERS && isOf(kind, text)) texts.push(text)
    start += Math.max(Math.floor(whole.length / PER_FILE), Math.ceil(size))
  }
  return texts
}

/** From the beginning of a line to the end of one, where lines are short enough. */
function piece(whole: string, from: number, size: number): string {
  const line = from === 0 ? 0 : whole.indexOf('\n', from - 1) + 1
  const start = line > 0 && line < from + size / 4 ? line : from
  const end = whole.lastIndexOf('\n', start + size)
  return whole.slice(start, end > start + size * 0.75 ? end : start + size).toWellFormed()
}

const WORDS: Readonly<Partial<Record<Kind, RegExp>>> = {
  English: /\b(the|of|and|to|is|in|this|for|with|are|that)\b/g,
  German: /\b(der|die|das|und|ist|nicht|ein|eine|mit|werden|den|von|für)\b/g,
}

/** Translated documentation is in part not translated. */
function isOf(kind: Kind, text: string): boolean {
  const letters = text.match(/\p{L}/gu)?.length ?? 0
  if (kind === 'Chinese') return (text.match(/\p{Script=Han}/gu)?.length ?? 0) > 0.4 * letters
  const words = WORDS[kind]
  return words === undefined || (text.match(words)?.length ?? 0) > letters / 60
}
