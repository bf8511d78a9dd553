/**
 * Inputs on disk, by target: `corpus/` = to begin with, `found/` = what once broke something, kept as a test. A case is made of a target, a
 * seed and a number, and of nothing else: whoever knows the three has the case.
 */
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { Dice, seedOf } from '../support/dice.ts'
import { ROOT } from '../support/program.ts'
import { mutate } from './mutate.ts'
import type { Target } from './target.ts'

const HERE = relative(ROOT, import.meta.dirname)

export interface Input {
  readonly file: string
  readonly bytes: Buffer
}

const read = (patterns: readonly string[]): Input[] =>
  globSync(patterns, { cwd: ROOT })
    .sort()
    .flatMap((file) => (file.endsWith('.ts') ? [] : [{ file, bytes: readFileSync(join(ROOT, file)) }]))

export const corpusOf = ({ name, seeds = [] }: Target): Input[] => read([`${HERE}/corpus/${name}/*`, ...seeds])
export const foundOf = ({ name }: Target): Input[] => read([`${HERE}/found/${name}/*`])

/** The chance that a check has is that of its input. */
export const check = (target: Target, bytes: Buffer): void => target.check(bytes, new Dice(seedOf(bytes)))

export function caseOf(target: Target, corpus: readonly Input[], seed: number, number: number): Buffer {
  const dice = new Dice(seedOf(`${target.name} ${seed} ${number}`))
  const bytes = corpus.map((input) => input.bytes)
  return mutate(dice.pick(bytes), target, bytes, dice)
}

/** Writes what broke something, so that it is tried from now on. Returns its file. */
export function keep({ name }: Target, bytes: Buffer): string {
  const file = `${HERE}/found/${name}/${seedOf(bytes).toString(16).padStart(8, '0')}`
  mkdirSync(join(ROOT, HERE, 'found', name), { recursive: true })
  writeFileSync(join(ROOT, file), bytes)
  return file
}
