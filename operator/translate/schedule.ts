import type { Schedule } from '../../proxy/routing-table/index.ts'
import type { RuleMatch } from '../resources/crds.generated.ts'
import { setFields } from './set-fields.ts'

/** "22:00" to minutes of a day. The schema has checked the form. */
export function translateSchedule({ timeZone, windows }: NonNullable<RuleMatch['schedule']>): Schedule {
  return {
    timeZone,
    windows: windows.map(({ days, from, to }) => ({ ...setFields({ days }), fromMinute: minuteOf(from), toMinute: minuteOf(to) })),
  }
}

function minuteOf(time: string): number {
  const [hours = '', minutes = ''] = time.split(':')
  return Number(hours) * 60 + Number(minutes)
}
