/** Changes made on the API server at a steady pace, and when each had reached every proxy. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Fleet } from './fleet.ts'
import type { Ground } from './ground.ts'
import { type Effect, nowMs } from './messages.ts'
import { endpointsOf, freshAddress, type ModelSize, modelName, modelsOf, PORT, slicesOf } from './sizes.ts'

export type ChangeKind = 'weight' | 'endpoint'

export interface Timed {
  readonly kind: ChangeKind
  /** From the API server's answer to the last proxy's swap, and from just before the request. */
  readonly fromAnswerMs: number
  readonly fromSendingMs: number
}

interface Change {
  readonly effect: Effect
  readonly kind: ChangeKind
  readonly path: string
  readonly patch: unknown
}

/** Counts all changes ever made, so that none says what an earlier one did. */
let turn = 0

/** Kinds by turns; no model twice in a row of as many changes as there are models. */
export async function makeChanges(
  { cluster, served }: Ground,
  fleet: Fleet,
  { models, count, everyMs }: { readonly models: readonly ModelSize[]; readonly count: number; readonly everyMs: number },
): Promise<readonly Timed[]> {
  const changes = Array.from({ length: count }, (_, index) => changeOf(served, models, index))
  await fleet.expect(changes.map(({ effect }) => effect))
  const asked = new Map<number, { readonly sentMs: number; readonly answeredMs: number }>()
  const begin = nowMs()
  const answers: Promise<void>[] = []
  for (const [index, { effect, path, patch }] of changes.entries()) {
    await delay(Math.max(0, begin + index * everyMs - nowMs()))
    const sentMs = nowMs()
    answers.push(cluster.ask('PATCH', path, patch).then(() => void asked.set(effect.id, { sentMs, answeredMs: nowMs() })))
  }
  await Promise.all(answers)
  const effective = await fleet.effective(count)
  return changes.map(({ effect: { id }, kind }) => {
    const { sentMs = Number.NaN, answeredMs = Number.NaN } = asked.get(id) ?? {}
    const atMs = effective.get(id) ?? Number.NaN
    return { kind, fromAnswerMs: Math.max(0, atMs - answeredMs), fromSendingMs: atMs - sentMs }
  })
}

function changeOf(namespace: string, models: readonly ModelSize[], index: number): Change {
  const id = ++turn
  const kind: ChangeKind = index % 2 === 0 ? 'weight' : 'endpoint'
  const { index: model, endpoints } = models[index % models.length] ?? { index: 0, endpoints: 1 }
  const name = modelName(model)
  const ref = `${namespace}/${name}`
  if (kind === 'weight') {
    const weight = id + 1
    return { effect: { id, ref, weight }, kind, path: `${modelsOf(namespace)}/${name}`, patch: { spec: { weight } } }
  }
  const address = freshAddress(id)
  const patch = { endpoints: endpointsOf(model, endpoints, address) }
  return { effect: { id, ref, origin: `http://${address}:${PORT}` }, kind, path: `${slicesOf(namespace)}/${name}`, patch }
}
