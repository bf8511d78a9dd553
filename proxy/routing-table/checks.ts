/**
 * Small checks that compose: a shape is written down once, and a value that does not fit gets every mistake with a JSON pointer. Nothing is
 * defaulted and unknown fields are mistakes. PURE.
 */
export interface TableError {
  /** JSON pointer, such as "/models/3/backends/0/weight". */
  pointer: string
  message: string
}

/** Collects what is wrong with the value at `pointer`; an empty result means it fits. */
export type Check = (value: unknown, pointer: string, errors: TableError[]) => void

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const text =
  (maxLength = 4096): Check =>
  (value, pointer, errors) => {
    if (typeof value !== 'string') errors.push({ pointer, message: 'must be a string' })
    else if (value.length > maxLength) errors.push({ pointer, message: `must have at most ${maxLength} characters` })
  }

export const matching =
  (pattern: RegExp, what: string): Check =>
  (value, pointer, errors) => {
    if (typeof value !== 'string' || !pattern.test(value)) errors.push({ pointer, message: `must be ${what}` })
  }

export const number =
  (min: number, max: number): Check =>
  (value, pointer, errors) => {
    if (typeof value !== 'number' || !(value >= min && value <= max))
      errors.push({ pointer, message: `must be a number from ${min} to ${max}` })
  }

export const flag: Check = (value, pointer, errors) => {
  if (typeof value !== 'boolean') errors.push({ pointer, message: 'must be true or false' })
}

export const oneOf =
  (values: readonly string[]): Check =>
  (value, pointer, errors) => {
    if (typeof value !== 'string' || !values.includes(value)) errors.push({ pointer, message: `must be one of ${values.join(', ')}` })
  }

export const list =
  (item: Check, maxItems = 100_000): Check =>
  (value, pointer, errors) => {
    if (!Array.isArray(value)) errors.push({ pointer, message: 'must be a list' })
    else if (value.length > maxItems) errors.push({ pointer, message: `must have at most ${maxItems} items` })
    else for (const [index, entry] of value.entries()) item(entry, `${pointer}/${index}`, errors)
  }

/** An object with exactly these fields; those whose name ends in "?" may be absent. */
export function object(shape: Record<string, Check>): Check {
  const fields = Object.entries(shape).map(([key, check]) => ({ key: key.replace('?', ''), optional: key.endsWith('?'), check }))
  const known = new Set(fields.map(({ key }) => key))
  return (value, pointer, errors) => {
    if (!isRecord(value)) {
      errors.push({ pointer, message: 'must be an object' })
      return
    }
    for (const { key, optional, check } of fields) {
      if (value[key] !== undefined) check(value[key], `${pointer}/${key}`, errors)
      else if (!optional) errors.push({ pointer: `${pointer}/${key}`, message: 'is missing' })
    }
    for (const key of Object.keys(value)) if (!known.has(key)) errors.push({ pointer: `${pointer}/${key}`, message: 'is not known' })
  }
}

export const tagged =
  (tag: string, variants: Record<string, Check>): Check =>
  (value, pointer, errors) => {
    const name = isRecord(value) ? String(value[tag]) : ''
    const variant = Object.hasOwn(variants, name) ? variants[name] : undefined
    if (variant === undefined) errors.push({ pointer, message: `must have "${tag}" of ${Object.keys(variants).join(', ')}` })
    else variant(value, pointer, errors)
  }

/** One of two shapes, told apart by whether a field is there. */
export const either =
  (field: string, present: Check, absent: Check): Check =>
  (value, pointer, errors) =>
    (isRecord(value) && value[field] !== undefined ? present : absent)(value, pointer, errors)

export const any: Check = () => {}

export const MAX_INTEGER = Number.MAX_SAFE_INTEGER
