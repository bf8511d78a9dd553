/** What tests of an installation ask its programs: requests as a client, the table and the problems as an administrator. */
import { setTimeout as delay } from 'node:timers/promises'
import { listAt, textAt, valueAt } from '../support/control-plane/api.ts'
import type { RunningOperator } from '../support/installation.ts'
import type { RunningProxy } from '../support/proxy.ts'

export interface Said {
  readonly status: number
  readonly text: string
}

/** A completion that is not streamed. `key`: what a client sends as bearer. */
export async function say({ url }: RunningProxy, model: string, key?: string): Promise<Said> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }] }),
  })
  return { status: response.status, text: await response.text() }
}

/** Names in /v1/models. */
export async function listed({ url }: RunningProxy, key?: string): Promise<readonly string[]> {
  const response = await fetch(`${url}/v1/models`, { headers: key === undefined ? {} : { authorization: `Bearer ${key}` } })
  return listAt(await response.json(), 'data').map((row) => textAt(row, 'id'))
}

export interface Places {
  /** "http://10.0.0.1:8000", sorted. */
  readonly origins: readonly string[]
  readonly lastResort: string | undefined
}

/** Where a proxy's table says that a model's backends are. */
export async function placesOf({ adminUrl }: RunningProxy, model: string): Promise<Places> {
  const shown: unknown = await (await fetch(`${adminUrl}/debug/table`)).json()
  const sets = listAt(shown, 'table', 'endpointSets').filter((set) => valueAt(set, 'model') === model)
  const last = sets.map((set) => valueAt(set, 'lastResort', 'origin')).find((origin) => typeof origin === 'string')
  const origins = sets.flatMap((set) => listAt(set, 'endpoints').map((endpoint) => textAt(endpoint, 'origin')))
  return { origins: origins.sort(), lastResort: last }
}

export interface Told {
  readonly object: string
  readonly at: string
  readonly message: string
  /** Of what translate finds: "AddressForbidden". */
  readonly code?: unknown
}

/** What the operator says is wrong with an object, such as "LlamaModel team/llama". */
export async function problemsOf({ adminUrl }: RunningOperator, object: string): Promise<readonly Told[]> {
  const state: unknown = await (await fetch(`${adminUrl}/debug/state`)).json()
  return listAt(state, 'problems').flatMap((problem) =>
    valueAt(problem, 'object') === object
      ? [{ object, at: textAt(problem, 'at'), message: textAt(problem, 'message'), code: valueAt(problem, 'code') }]
      : [],
  )
}

const LOOK_EVERY_MS = 5
const GIVE_UP_MS = 15_000

/** Milliseconds from the call of `change` until `fits`. Rejects after 15 s. */
export async function timed(change: () => Promise<unknown>, fits: () => Promise<boolean>): Promise<number> {
  const startMs = performance.now()
  await change()
  while (!(await fits())) {
    if (performance.now() - startMs > GIVE_UP_MS) throw new Error(`nothing of it after ${GIVE_UP_MS} ms`)
    await delay(LOOK_EVERY_MS)
  }
  return Math.round(performance.now() - startMs)
}
