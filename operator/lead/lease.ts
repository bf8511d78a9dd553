import { type OwnAccount, ownedBy } from '../kube/own-account.ts'
import { type Fields, isFields } from '../validate/problem.ts'

/** The part of a Lease that says who holds it. */
export interface LeaseRecord {
  /** "" = nobody. */
  readonly holder: string
  readonly durationMs: number
  /** As written: compared, never read as a time, as clocks differ. */
  readonly acquireTime: string
  readonly renewTime: string
  readonly transitions: number
}

export interface Lease {
  readonly record: LeaseRecord
  readonly annotations: Readonly<Record<string, string>>
  /** As the API server sent it: what is not ours goes back unchanged. */
  readonly raw: Fields
}

/** No holder may block others for longer than this after its last renewal, whatever its Lease says. */
const MAX_DURATION_MS = 3_600_000

/** Never fails: what is missing or of another kind is as if nobody held it. */
export function parseLease(raw: Fields): Lease {
  const spec = fieldsOf(raw['spec'])
  const durationMs = numberOf(spec['leaseDurationSeconds']) * 1000
  const record = {
    holder: textOf(spec['holderIdentity']),
    durationMs: Math.min(durationMs, MAX_DURATION_MS),
    acquireTime: textOf(spec['acquireTime']),
    renewTime: textOf(spec['renewTime']),
    transitions: numberOf(spec['leaseTransitions']),
  }
  return { record, annotations: textsOf(fieldsOf(raw['metadata'])['annotations']), raw }
}

export interface LeaseName {
  readonly namespace: string
  readonly name: string
}

/** The object to send: `before` with this record and these annotations besides its others. A new one is owned by `account`. */
export function leaseObject(
  before: Lease | undefined,
  { namespace, name, account }: LeaseName & { readonly account?: OwnAccount | undefined },
  record: LeaseRecord,
  added: Lease['annotations'],
): Fields {
  const raw = before?.raw ?? { metadata: ownedBy(account, namespace) }
  const annotations = { ...before?.annotations, ...added }
  return {
    ...raw,
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { ...fieldsOf(raw['metadata']), namespace, name, annotations },
    spec: {
      ...fieldsOf(raw['spec']),
      holderIdentity: record.holder,
      leaseDurationSeconds: Math.max(1, Math.ceil(record.durationMs / 1000)),
      acquireTime: record.acquireTime,
      renewTime: record.renewTime,
      leaseTransitions: record.transitions,
    },
  }
}

export const leasesPath = ({ namespace }: LeaseName): string => `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`
export const leasePath = (lease: LeaseName): string => `${leasesPath(lease)}/${lease.name}`

/** "2026-11-23T10:00:00.123000Z": the API's MicroTime has six digits. */
export const microTime = (wallMs: number): string => new Date(wallMs).toISOString().replace('Z', '000Z')

const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {})
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
const numberOf = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? Math.max(0, value) : 0)

function textsOf(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(fieldsOf(value)).flatMap(([name, text]) => (typeof text === 'string' ? [[name, text]] : [])))
}
