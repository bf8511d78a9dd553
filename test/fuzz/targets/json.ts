/** What JSON.parse says of a text: the oracle of all that reads JSON without it. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const JSON_TOKENS: readonly string[] = [
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"',
  '\\',
  '\\"',
  '\\\\',
  '\\u0022',
  '\\u006d',
  '\\ud83d',
  'null',
  'true',
  'false',
  '{}',
  '[]',
  '""',
  ' ',
  '\n',
  '\u00a0',
  '\ufeff',
  'ü',
  '😀',
  '"__proto__":1,',
  '1e999',
  '\t',
  '//',
  "'",
]
