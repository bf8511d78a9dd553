/** Reads fields of foreign JSON. A value of another shape is undefined, never an error. */

type Fields = Readonly<Record<string, unknown>>

export function fields(value: unknown): Fields {
  return isObject(value) ? value : {}
}

export function items(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

export function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** A count of something: finite and above zero, else undefined. */
export function positive(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : undefined
}

export function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

/** Drops members that are undefined, so that "absent" stays absent. */
export function known<T extends object>(members: { [K in keyof T]: T[K] | undefined }): T
export function known(members: Record<string, unknown>): object {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
