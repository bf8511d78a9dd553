/** What `llama-swap status` shows, as lines of at most 100 columns, and whether all is well. PURE: from what was read to text. */
import type { ClusterObject, Condition, LeaseSeen, ObjectKind } from './cluster-objects.ts'
import { type Asked, podOf, type StateProblem } from './operator-state.ts'

export interface StatusSeen {
  readonly objects: readonly ClusterObject[]
  readonly lease: LeaseSeen
  readonly operator: Asked
  readonly nowMs: number
}

/** Colours a word by whether it is good. */
export type Paint = (word: string, status: string) => string

interface Complaint {
  /** "Programmed, Ready" */
  readonly what: string
  readonly status: string
  readonly reason: string
  readonly message: string
}

interface ObjectView {
  readonly kind: ObjectKind
  readonly ref: string
  readonly ready: string
  readonly parts: string
  readonly programmed: string
  readonly complaints: readonly Complaint[]
}

interface LeftOut {
  /** "namespace/name", backend and address. */
  readonly endpoint: string
  /** Gateways by what their circuits say. */
  readonly circuits: Readonly<Record<string, number>>
  readonly because: string | undefined
}

/** All of it as values: what `--json` prints. */
interface StatusView {
  /** Every object is Ready, an operator leads, and it can read all it needs. */
  readonly well: boolean
  readonly install: string
  readonly leader: string
  readonly proxies: string
  readonly objects: readonly ObjectView[]
  /** Endpoints that do not get their full share, though their objects may be Ready. */
  readonly leftOut: readonly LeftOut[]
  /** Of Secrets and of the installation as a whole: no object's status tells them. */
  readonly problems: readonly StateProblem[]
}

const COLUMNS = 100
/** Of one kind on one screen; those that are not Ready come first. */
const MAX_ROWS = 40
const MAX_PROBLEMS = 20
const MAX_LEFT_OUT = 20

export function statusView(seen: StatusSeen): StatusView {
  const objects = seen.objects.map(objectView).toSorted(byNeed)
  const leader = leaderOf(seen)
  const problems = problemsOf(seen)
  const { namespace, name } = seen.lease.lease
  const well = leader.well && problems.length === 0 && objects.every(({ ready }) => ready === 'True')
  return {
    well,
    install: `${namespace}/${name}`,
    leader: leader.says,
    proxies: proxiesOf(seen.operator),
    objects,
    leftOut: leftOutOf(seen.operator),
    problems,
  }
}

export function statusScreen({ install, leader, proxies, objects, leftOut, problems }: StatusView, paint: Paint): readonly string[] {
  return [
    ...wrapped(`Installation  ${install}`, 14),
    ...wrapped(`Leader        ${leader}`, 14),
    ...wrapped(`Proxies       ${proxies}`, 14),
    ...section('LlamaModel', 'Endpoints', objects, paint),
    ...section('RoutingPolicy', 'Rules', objects, paint),
    ...leftOutLines(leftOut),
    ...problemLines(problems),
    '',
    summary(objects),
  ]
}

function objectView(object: ClusterObject): ObjectView {
  const { kind, ref, parts, programmed } = object
  const stale = staleness(object)
  return {
    kind,
    ref,
    ready: stale === undefined ? (object.conditions.find(({ type }) => type === 'Ready')?.status ?? 'Unknown') : 'Unknown',
    parts: parts === undefined ? '–' : `${parts.ready}/${parts.total}`,
    programmed: programmed === undefined ? '–' : `${programmed.acked}/${programmed.proxies}`,
    complaints: [...(stale === undefined ? [] : [stale]), ...together(object.conditions.filter(isBad))],
  }
}

/** A status of an older spec says nothing of the one that is there. */
function staleness({ generation, observedGeneration }: ClusterObject): Complaint | undefined {
  const says = (message: string): Complaint => ({ what: 'Ready', status: 'Unknown', reason: 'NotJudged', message })
  if (observedGeneration === undefined) return says('No operator has written a status yet. Does one serve this namespace?')
  if (observedGeneration >= generation) return undefined
  return says(`The status is of generation ${observedGeneration}, and the object has ${generation}.`)
}

/** Degraded is there only while it is. */
const isBad = ({ type, status }: Condition): boolean => (type === 'Degraded' ? status !== 'False' : status !== 'True')

/** Conditions that say the same are told once. */
function together(conditions: readonly Condition[]): readonly Complaint[] {
  const groups = Map.groupBy(conditions, ({ status, reason, message }) => JSON.stringify([status, reason, message]))
  return [...groups.values()].flatMap((group) => {
    const [first] = group
    return first === undefined ? [] : [{ ...first, what: group.map(({ type }) => type).join(', ') }]
  })
}

const byNeed = (a: ObjectView, b: ObjectView): number =>
  Number(a.ready === 'True') - Number(b.ready === 'True') || (a.ref < b.ref ? -1 : Number(a.ref > b.ref))

interface Leader {
  readonly well: boolean
  readonly says: string
}

function leaderOf({ lease, operator, nowMs }: StatusSeen): Leader {
  const state = 'state' in operator ? operator.state : undefined
  if (state?.notLeadingBecause !== undefined)
    return { well: false, says: `${podOf(state.identity)} has the Lease and does not lead: ${state.notLeadingBecause}` }
  const epoch = state?.epoch === undefined ? '' : `, epoch ${state.epoch}`
  if ('because' in lease) {
    if (state?.leads === true) return { well: true, says: `${podOf(state.identity)}${epoch}` }
    return { well: false, says: `unknown: ${lease.because}. Name the operator's with --operator-namespace and --install.` }
  }
  const { holder, durationMs, renewTime } = lease.record
  if (holder === '') return { well: false, says: 'nobody: the last one has let go of the Lease' }
  const ageMs = nowMs - Date.parse(renewTime)
  if (!(ageMs <= durationMs * CLOCKS_DIFFER))
    return { well: false, says: `nobody: ${podOf(holder)} has not renewed the Lease for ${duration(ageMs)}` }
  return { well: true, says: `${podOf(holder)}${epoch}, renewed ${duration(ageMs)} ago` }
}

/** The Lease is written with another host's clock. */
const CLOCKS_DIFFER = 2

function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (!Number.isFinite(seconds)) return 'an unknown time'
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`
}

function proxiesOf(operator: Asked): string {
  if ('because' in operator) return `unknown: ${operator.because}. To ask it: kubectl port-forward POD 8081, then --operator URL.`
  const { leads, identity, gateways, sidecars } = operator.state
  if (!leads) return `unknown: ${podOf(identity)} does not lead; ask the leader's pod.`
  return `${count(gateways, 'gateway')}, ${count(sidecars, 'sidecar')}`
}

const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`

const IN_STATUSES = /^(LlamaModel|RoutingPolicy) /

function problemsOf({ operator }: StatusSeen): readonly StateProblem[] {
  if ('because' in operator) return []
  const { problems, watches, tableTooLargeBytes } = operator.state
  const told = problems.filter(({ object }) => !IN_STATUSES.test(object))
  const stopped = watches
    .filter(({ what }) => !told.some(({ message }) => message.startsWith(`${what} `)))
    .map(({ what, failing }) => general(`${what}: the watch does not go on: ${failing}`))
  const tooLarge =
    tableTooLargeBytes === undefined ? [] : [general(`The routing table has ${tableTooLargeBytes} bytes, more than may travel.`)]
  return [...told, ...stopped, ...tooLarge]
}

const leftOutOf = (operator: Asked): readonly LeftOut[] =>
  'because' in operator
    ? []
    : operator.state.endpoints.flatMap(({ model, backend, origin, circuits, because }) =>
        circuits.size === 0 ? [] : [{ endpoint: `${model} ${backend} ${origin}`, circuits: Object.fromEntries(circuits), because }],
      )

const general = (message: string): StateProblem => ({ object: '', at: '', message })

function section(kind: ObjectKind, parts: string, all: readonly ObjectView[], paint: Paint): readonly string[] {
  const objects = all.filter((object) => object.kind === kind)
  if (objects.length === 0) return ['', `No ${kind}.`]
  const shown = objects.slice(0, MAX_ROWS)
  const width = Math.min(COLUMNS - 34, Math.max(kind.length, ...shown.map(({ ref }) => ref.length)))
  const head = `${kind.padEnd(width)}  ${'Ready'.padEnd(9)}${parts.padEnd(11)}Programmed`
  const more = objects.length > MAX_ROWS ? [`and ${objects.length - MAX_ROWS} more: --json has all`] : []
  return ['', head, ...shown.flatMap((object) => objectLines(object, width, paint)), ...more]
}

function objectLines({ ref, ready, parts, programmed, complaints }: ObjectView, width: number, paint: Paint): readonly string[] {
  const cells = `${paint(ready, ready)}${' '.repeat(Math.max(1, 9 - ready.length))}${parts.padEnd(11)}${programmed}`
  const name = plain(ref)
  const first = name.length <= width ? [`${name.padEnd(width)}  ${cells}`] : [name, `${' '.repeat(width)}  ${cells}`]
  return [...first, ...complaints.flatMap(complaintLines)]
}

const complaintLines = ({ what, status, reason, message }: Complaint): readonly string[] =>
  wrapped(`  ${what} ${status}, ${reason}${message === '' ? '' : `: ${message}`}`, 4)

function leftOutLines(leftOut: readonly LeftOut[]): readonly string[] {
  if (leftOut.length === 0) return []
  const lines = leftOut.slice(0, MAX_LEFT_OUT).flatMap(({ endpoint, circuits, because }) => {
    const states = Object.entries(circuits).map(([state, gateways]) => `${state.replace('_', '-')} at ${count(gateways, 'gateway')}`)
    return wrapped(`  ${endpoint}: ${states.join(', ')}${because === undefined ? '' : ` (${because})`}`, 4)
  })
  const more = leftOut.length > MAX_LEFT_OUT ? [`and ${leftOut.length - MAX_LEFT_OUT} more: --json has all`] : []
  return ['', 'Circuits', ...lines, ...more]
}

function problemLines(problems: readonly StateProblem[]): readonly string[] {
  if (problems.length === 0) return []
  const more = problems.length > MAX_PROBLEMS ? [`and ${problems.length - MAX_PROBLEMS} more: --json has all`] : []
  const lines = problems.slice(0, MAX_PROBLEMS).flatMap(({ object, at, message }) => {
    const place = [object, at].filter((one) => one !== '').join(' ')
    return wrapped(`  ${place === '' ? '' : `${place}: `}${message}`, 4)
  })
  return ['', 'Problems', ...lines, ...more]
}

function summary(objects: readonly ObjectView[]): string {
  const unready = objects.filter(({ ready }) => ready !== 'True').length
  return unready === 0 ? `Ready: ${count(objects.length, 'object')}, all.` : `Not Ready: ${unready} of ${count(objects.length, 'object')}.`
}

/** What objects say may hold control characters; a terminal obeys those. */
const plain = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ')

/** Lines of at most 100 columns, broken at spaces where there are any; all but the first begin with `indent` spaces. */
function wrapped(text: string, indent: number): readonly string[] {
  const lines: string[] = []
  let rest = plain(text)
  while (rest.length > COLUMNS) {
    const space = rest.lastIndexOf(' ', COLUMNS)
    const end = space > indent ? space : COLUMNS
    lines.push(rest.slice(0, end).trimEnd())
    rest = ' '.repeat(indent) + rest.slice(end).trimStart()
  }
  return [...lines, rest]
}
