import { WEEKDAYS, type Weekday } from './v1.ts'

/** Where the hands of a zone's clock stand. */
export interface WallClock {
  readonly day: Weekday
  readonly dayBefore: Weekday
  /** Of the day, 0 to 1439. */
  readonly minute: number
}

interface Zone {
  readonly format: Intl.DateTimeFormat
  minuteMs: number
  clock: WallClock
}

const MINUTE_MS = 60_000
/** There are about 600 zones, and several spellings of some. */
const MAX_ZONES = 2000
const ZONES = new Map<string, Zone | undefined>()

/** Undefined = there is no such time zone. Asked twice in a minute it only looks up. */
export function wallClock(timeZone: string, nowMs: number): WallClock | undefined {
  const zone = zoneOf(timeZone)
  if (zone === undefined) return undefined
  const minuteMs = Math.floor(nowMs / MINUTE_MS) * MINUTE_MS
  if (zone.minuteMs !== minuteMs) {
    zone.clock = clockAt(zone.format, minuteMs)
    zone.minuteMs = minuteMs
  }
  return zone.clock
}

export const isTimeZone = (name: string): boolean => zoneOf(name) !== undefined

function zoneOf(name: string): Zone | undefined {
  if (ZONES.has(name)) return ZONES.get(name)
  if (ZONES.size >= MAX_ZONES) ZONES.clear()
  const made = makeZone(name)
  ZONES.set(name, made)
  return made
}

function makeZone(timeZone: string): Zone | undefined {
  try {
    const format = new Intl.DateTimeFormat('en-US', { timeZone, weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
    return { format, minuteMs: 0, clock: clockAt(format, 0) }
  } catch {
    return undefined // a RangeError: not in the database
  }
}

function clockAt(format: Intl.DateTimeFormat, ms: number): WallClock {
  const parts = new Map(format.formatToParts(ms).map(({ type, value }) => [type, value]))
  const names: readonly (string | undefined)[] = WEEKDAYS
  const at = names.indexOf(parts.get('weekday'))
  return {
    day: WEEKDAYS[at] ?? 'Sun',
    dayBefore: WEEKDAYS[(at + 6) % 7] ?? 'Sat',
    minute: Number(parts.get('hour')) * 60 + Number(parts.get('minute')),
  }
}
