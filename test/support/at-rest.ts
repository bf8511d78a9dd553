/**
 * Whether a proxy is at rest: nothing in flight, nothing held, nothing reserved, nobody queued, no connection that the other side has ended
 * and it has not; and whether anything has ended for a reason that has no word. In: its ports and process id. Out: what is not at rest, in words; [] = it is.
 */
import { readdir, readFile, readlink } from 'node:fs/promises'
import { eventually } from './eventually.ts'

export interface Watched {
  readonly adminUrl: string
  readonly metricsUrl: string
  readonly pid: number
}

/** Gauges that must be back at 0 once every request has been settled. */
const ZERO = /^llama_swap_(?:endpoint_in_flight|held_bytes|queue_requests|queue_bytes|limit_bookings_open)(?:\{[^}]*\})? (\S+)$/

/** Every end has its word in the vocabulary of docs/errors.md. */
const NAMELESS = /^llama_swap_[a-z_]+\{[^}]*="proxy_other"[^}]*\} [1-9]/

const REST_WITHIN_MS = 10_000

/** Rejects with what is not at rest after 10 s. */
export function assertAtRest(proxy: Watched): Promise<void> {
  return eventually(async () => {
    const busy = await unrest(proxy)
    if (busy.length > 0) throw new Error(`the proxy is not at rest after its last request:\n${busy.join('\n')}`)
  }, REST_WITHIN_MS)
}

export async function unrest(proxy: Watched): Promise<readonly string[]> {
  return (await Promise.all([busyEndpoints(proxy), gauges(proxy), halfClosed(proxy)])).flat()
}

async function busyEndpoints({ adminUrl }: Watched): Promise<string[]> {
  const shown: { readonly endpoints: readonly { readonly model: string; readonly url: string; readonly inFlight: number }[] } = JSON.parse(
    await textOf(`${adminUrl}/debug/endpoints`),
  )
  return shown.endpoints.flatMap(({ model, url, inFlight }) => (inFlight === 0 ? [] : [`${model} at ${url}: ${inFlight} in flight`]))
}

async function gauges({ metricsUrl }: Watched): Promise<string[]> {
  const lines = (await textOf(`${metricsUrl}/metrics`)).split('\n')
  if (!lines.some((line) => line.startsWith('llama_swap_held_bytes '))) return [`no metrics: ${lines.slice(0, 5).join(' ')}`]
  return lines.filter((line) => Number(ZERO.exec(line)?.[1] ?? 0) !== 0 || NAMELESS.test(line))
}

/** Connections in CLOSE_WAIT: Linux only, elsewhere none are known. */
async function halfClosed({ pid }: Watched): Promise<string[]> {
  const inodes = await socketsOf(pid)
  const rows = (await readFile(`/proc/${pid}/net/tcp`, 'utf8').catch(() => '')).split('\n').map((row) => row.trim().split(/\s+/))
  return rows.flatMap(([, local, remote, state, , , , , , inode]) =>
    state === CLOSE_WAIT && inodes.has(inode ?? '') ? [`a socket that its other side has closed: ${local} to ${remote}`] : [],
  )
}

const CLOSE_WAIT = '08'

async function socketsOf(pid: number): Promise<ReadonlySet<string>> {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => [])
  const links = await Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => '')))
  return new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []))
}

/** On a connection of its own, which it closes: looking must not be what is seen. */
const textOf = async (url: string): Promise<string> => (await fetch(url, { headers: { connection: 'close' } })).text()
