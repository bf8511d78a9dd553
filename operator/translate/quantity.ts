const UNIT_BYTES: Readonly<Record<string, number>> = { k: 1e3, M: 1e6, G: 1e9, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 }

/** 1Ti: the schema's bound on numbers, which it cannot put on text, and the most a table takes. */
export const MAX_BYTES = 2 ** 40

/** "256Mi" → 268435456; a number is bytes. The schema has checked the form. May be more than `MAX_BYTES`. */
export function parseBytes(quantity: number | string): number {
  const [, amount, unit = ''] = /^([0-9]+)([A-Za-z]*)$/.exec(String(quantity)) ?? []
  return Number(amount ?? 0) * (UNIT_BYTES[unit] ?? 1)
}

/** "0.60" → 0.6, for every decimal that is set. */
export function decimals<K extends string>(fields: Readonly<Record<K, string | undefined>>): Partial<Record<K, number>> {
  const result: Partial<Record<K, number>> = {}
  for (const key in fields) {
    const text = fields[key]
    if (text !== undefined) result[key] = Number(text)
  }
  return result
}
