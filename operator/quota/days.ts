/** What was used of limits a day, as it is written down for the next leader. */
export interface SavedDays {
  /** Days since 1970, UTC. */
  readonly day: number
  /** By key. `by`: instance of a proxy → what it has used and what it may hold; `gone`: of those that are gone for good. */
  readonly meters: Readonly<Record<string, SavedMeter>>
  /** Instance → its proxy's name. */
  readonly names: Readonly<Record<string, string>>
}

export interface SavedMeter {
  readonly max: number
  readonly gone: number
  readonly by: Readonly<Record<string, readonly [used: number, held: number]>>
}

const DAY_MS = 86_400_000
export const dayOf = (wallMs: number): number => Math.floor(wallMs / DAY_MS)

/** Undefined: it is not what a leader writes. */
export function parseDays(text: string): SavedDays | undefined {
  const value = readJson(text)
  const day = isFields(value) ? value['day'] : undefined
  const meters = isFields(value) ? value['meters'] : undefined
  const names = isFields(value) ? value['names'] : undefined
  if (!isAmount(day) || !isFields(meters) || !isFields(names)) return undefined
  const entries = Object.entries(meters).map(([key, meter]) => [key, parseMeter(meter)] as const)
  const parsed: Record<string, SavedMeter> = {}
  for (const [key, meter] of entries) {
    if (meter === undefined) return undefined
    parsed[key] = meter
  }
  return { day, meters: parsed, names: Object.fromEntries(Object.entries(names).map(([instance, name]) => [instance, String(name)])) }
}

function parseMeter(value: unknown): SavedMeter | undefined {
  if (!isFields(value)) return undefined
  const { max, gone, by } = value
  if (!isAmount(max) || !isAmount(gone) || !isFields(by)) return undefined
  const parsed: Record<string, readonly [number, number]> = {}
  for (const [instance, pair] of Object.entries(by)) {
    const [used, held]: readonly unknown[] = Array.isArray(pair) ? pair : []
    if (!isAmount(used) || !isAmount(held)) return undefined
    parsed[instance] = [used, held]
  }
  return { max, gone, by: parsed }
}

const isFields = (
  value: unknown,
): value is { readonly [name: string]: unknown; readonly max?: unknown; readonly gone?: unknown; readonly by?: unknown } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isAmount = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value) && value >= 0

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
