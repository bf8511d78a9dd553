import type { Fields } from '../validate/problem.ts'
import { listOf, textOf } from '../validate/raw-fields.ts'

export const BASE_URL = 'OPENAI_BASE_URL'
const API_KEY = 'OPENAI_API_KEY'
/** Client libraries want one; the sidecar reads none. */
const PLACEHOLDER = 'llama-swap-sidecar'

export const baseUrlOf = (port: number): string => `http://127.0.0.1:${port}/v1`

/**
 * Variables to add to a container, so that what it has stays. `named`: whoever made the Pod wants them there. A container that takes
 * variables from a ConfigMap or Secret may have them from there, which nobody here can see: it gets them only if it is named.
 */
export function variablesFor(container: Fields, port: number, named: boolean): readonly Fields[] | 'unsure' {
  const env = listOf(container['env'])
  const url = baseUrlOf(port)
  const has = (name: string): boolean => env.some((one) => one['name'] === name)
  const mayHave = (name: string): boolean => !named && listOf(container['envFrom']).some(({ prefix }) => name.startsWith(textOf(prefix)))
  if (has(BASE_URL) && !env.some(({ name, value }) => name === BASE_URL && value === url)) return []
  if (!has(BASE_URL) && mayHave(BASE_URL)) return 'unsure'
  return [
    ...(has(BASE_URL) ? [] : [{ name: BASE_URL, value: url }]),
    ...(has(API_KEY) || mayHave(API_KEY) ? [] : [{ name: API_KEY, value: PLACEHOLDER }]),
  ]
}
