/**
 * What the suites of leadership and of absence stand on: an installation with models behind engines, ways to change the cluster and see each
 * proxy serve the change, and a record of the stamps of their tables.
 */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Cluster } from '../support/control-plane/cluster.ts'
import type { Pod } from '../support/control-plane/pods.ts'
import { eventually } from '../support/eventually.ts'
import { engineAt, type PodEngine, type PodEngineOptions, type RunningOperator } from '../support/installation.ts'
import type { RunningProxy } from '../support/proxy.ts'
import { pushOf } from '../support/pushed.ts'
import { jsonOf } from '../support/routes.ts'

/** The status and the text of the answer of one whole request. */
export async function say(proxy: RunningProxy, model: string): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(`${proxy.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }] }),
  })
  return { status: response.status, text: await response.text() }
}

/** A Service "gpu" with this Pod behind it, and the model "llama" of it. Resolves with the Pod and its engine. */
export async function modelOfService(
  t: TestContext,
  cluster: Cluster,
  team: string,
  options: PodEngineOptions = {},
): Promise<{ readonly pod: Pod; readonly engine: PodEngine }> {
  const pod = await cluster.makePod({ namespace: team, name: 'gpu-0', labels: { app: 'gpu' }, ports: [{ port: 8000 }] })
  const engine = await engineAt(t, pod.ip, 8000, options)
  await cluster.apply(`
apiVersion: v1
kind: Service
metadata: {name: gpu, namespace: ${team}}
spec: {selector: {app: gpu}, ports: [{port: 80, targetPort: 8000}]}
---
apiVersion: llamaswap.dev/v1alpha1
kind: LlamaModel
metadata: {name: llama, namespace: ${team}}
spec:
  backends: [{name: gpu, service: {name: gpu, port: {number: 80}}}]
`)
  return { pod, engine }
}

/** A policy that gives "llama" one more name. */
export async function alias(cluster: Cluster, team: string, name: string): Promise<void> {
  await cluster.apply(`
apiVersion: llamaswap.dev/v1alpha1
kind: RoutingPolicy
metadata: {name: ${name}, namespace: ${team}}
spec: {virtualModels: [${name}], targets: [{model: llama}]}
`)
}

/** Every one of the proxies answers for it. */
export async function served(proxies: readonly RunningProxy[], model: string, withinMs?: number): Promise<void> {
  const answers = proxies.map((proxy) =>
    eventually(async () => {
      const { status, text } = await say(proxy, model)
      assert.equal(status, 200, text)
    }, withinMs),
  )
  await Promise.all(answers)
}

export async function stateOf({ adminUrl }: RunningOperator): Promise<Record<string, unknown>> {
  const state = jsonOf(await (await fetch(`${adminUrl}/debug/state`)).text())
  return typeof state === 'object' && state !== null ? { ...state } : {}
}

export const leads = async (operator: RunningOperator): Promise<boolean> => (await stateOf(operator))['leads'] === true

interface Stamp {
  readonly epoch: number
  readonly seq: number
}

export interface Stamps {
  /** The stamps of each proxy, each once. */
  readonly seen: readonly (readonly Stamp[])[]
  /** Where a stamp was lower than one before. */
  readonly setBacks: readonly string[]
  stop(): Promise<void>
}

const LOOK_EVERY_MS = 100

/** Looks at the proxies' tables all the time, until the test ends. */
export function watchStamps(t: TestContext, proxies: readonly RunningProxy[]): Stamps {
  const stopping = new AbortController()
  const seen: Stamp[][] = proxies.map(() => [])
  const setBacks: string[] = []
  const look = async (proxy: RunningProxy, index: number): Promise<void> => {
    const { epoch, seq } = await pushOf(proxy)
    if (stopping.signal.aborted || typeof epoch !== 'number' || typeof seq !== 'number') return
    const before = seen[index]?.at(-1)
    if (before !== undefined && (epoch < before.epoch || (epoch === before.epoch && seq < before.seq)))
      setBacks.push(`proxy ${index}: ${JSON.stringify(before)} then ${JSON.stringify({ epoch, seq })}`)
    if (before?.epoch !== epoch || before.seq !== seq) seen[index]?.push({ epoch, seq })
  }
  const follow = async (proxy: RunningProxy, index: number): Promise<void> => {
    while (!stopping.signal.aborted) {
      await look(proxy, index)
      await delay(LOOK_EVERY_MS, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  }
  const running = Promise.all(proxies.map(follow))
  running.catch(() => stopping.abort()) // whoever stops it is told
  t.after(() => stopping.abort())
  return {
    seen,
    setBacks,
    stop: async () => {
      stopping.abort()
      await running
    },
  }
}
