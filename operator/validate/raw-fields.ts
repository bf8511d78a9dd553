import { type Fields, isFields } from './problem.ts'

/** Readers of what the API server sends. What is not of the expected type counts as absent: one strange object must not stop its kind. */

export const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

export const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {})

export const listOf = (value: unknown): readonly Fields[] => (Array.isArray(value) ? value.filter(isFields) : [])

export const textsOf = (value: unknown): readonly string[] => (Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [])

export const textMapOf = (value: unknown): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(fieldsOf(value)).filter((entry): entry is [string, string] => typeof entry[1] === 'string'))

export const oneOf = <T extends string>(known: readonly T[], value: unknown): T | undefined => known.find((item) => item === value)
