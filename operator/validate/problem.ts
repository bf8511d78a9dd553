/** One thing that is wrong with a document. */
export interface Problem {
  /** Where, as kubectl prints it: "spec.backends[1].url". Empty = the document as a whole. */
  readonly path: string
  /** What, in the API server's words where it has some. */
  readonly message: string
}

export type PathPart = string | number

/** ["spec", "backends", 1, "url"] → "spec.backends[1].url" */
export const pathOf = (parts: readonly PathPart[]): string =>
  parts.reduce<string>((path, part) => (typeof part === 'number' ? `${path}[${part}]` : path === '' ? part : `${path}.${part}`), '')

export type Fields = Record<string, unknown>

export const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)
