/** A JSON object, as `JSON.parse` makes it. */
export type Json = Readonly<Record<string, unknown>>

export const isJson = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)
export const jsonOf = (value: unknown): Json | undefined => (isJson(value) ? value : undefined)
