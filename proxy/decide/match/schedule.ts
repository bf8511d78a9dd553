import { wallClock } from '../../routing-table/time-zone.ts'
import type { Schedule, ScheduleWindow } from '../../routing-table/v1.ts'

/**
 * Whether a window is open by the clock on the wall. Where that clock jumps: a time of day that is left out is in no window, one that comes
 * twice is in its window twice. A window over midnight belongs to the day on which it begins. In a zone that does not exist it is never time.
 */
export function isTime({ timeZone, windows }: Schedule, nowMs: number): boolean {
  const clock = wallClock(timeZone, nowMs)
  return clock !== undefined && windows.some((window) => isIn(window, clock))
}

function isIn(
  { days, fromMinute, toMinute }: ScheduleWindow,
  { day, dayBefore, minute }: NonNullable<ReturnType<typeof wallClock>>,
): boolean {
  const isToday = days === undefined || days.includes(day)
  if (fromMinute < toMinute) return isToday && minute >= fromMinute && minute < toMinute
  if (isToday && minute >= fromMinute) return true
  return minute < toMinute && (days === undefined || days.includes(dayBefore))
}
