import { createHash } from 'node:crypto'

const CONTROLLER = 'llamaswap.dev/operator'

export interface ClusterEvent {
  readonly namespace: string
  /** Of the Event itself; see `eventName`. */
  readonly name: string
  /** Milliseconds since the epoch. */
  readonly atMs: number
  readonly reason: string
  readonly action: string
  /** At most 1024 bytes. */
  readonly note: string
  /** Of this operator: its pod's name. */
  readonly instance: string
  /** An ObjectReference. */
  readonly regarding: unknown
}

export const eventsPath = (namespace: string): string => `/apis/events.k8s.io/v1/namespaces/${namespace}/events`

/** A MicroTime, as the API has it. */
export const eventTime = (atMs: number): string => new Date(atMs).toISOString().replace('Z', '000Z')

/** The same for every leader, so that none tells twice. `key`: what it tells, of which object by uid. */
export function eventName(object: string, key: string): string {
  const digest = createHash('sha256').update(key).digest('hex').slice(0, 16)
  return `${object.slice(0, 200).replace(/[^a-z0-9]+$/, '')}.${digest}`
}

/** A warning of this operator. */
export const eventOf = ({ namespace, name, atMs, reason, action, note, instance, regarding }: ClusterEvent): unknown => ({
  apiVersion: 'events.k8s.io/v1',
  kind: 'Event',
  metadata: { namespace, name },
  eventTime: eventTime(atMs),
  type: 'Warning',
  reason,
  action,
  note,
  reportingController: CONTROLLER,
  reportingInstance: instance,
  regarding,
})
