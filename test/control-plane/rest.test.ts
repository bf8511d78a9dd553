/** What an operator does when nothing happens, and what it shows of itself. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { textAt } from '../support/control-plane/api.ts'
import { ApiRelay } from '../support/control-plane/api-relay.ts'
import type { Cluster } from '../support/control-plane/cluster.ts'
import { sharedControlPlane } from '../support/control-plane/shared.ts'
import { eventually } from '../support/eventually.ts'
import { install, type RunningOperator } from '../support/installation.ts'
import { ScriptedProxy } from '../support/scripted-proxy.ts'

/** A new leader says within this time what it has to say. */
const SETTLED_MS = 13_000
const REST_MS = 60_000
const SIDECARS = 20

/** Reviews are POSTs that store nothing. */
const isQuestion = (path: string): boolean => /reviews([?]|$)/.test(path)

interface Place {
  readonly namespace: string
  readonly port: number
  readonly ca: string
}

/** Twenty pods come, take their table, and go. */
async function rollOutSidecars(cluster: Cluster, { namespace, port, ca }: Place): Promise<void> {
  for (let i = 0; i < SIDECARS; i++) {
    const name = `app-${i}`
    await cluster.makePod({ namespace, name, serviceAccount: 'app' })
    const token = await cluster.token({ namespace, serviceAccount: 'app', audience: 'llama-swap-push', pod: name })
    const sidecar = await eventually(() => ScriptedProxy.dial({ port, ca, token }))
    sidecar.hello({ mode: 'Sidecar' })
    await sidecar.nextOf('welcome')
    await sidecar.tellHeld()
    await sidecar.follow()
    sidecar.close()
    await cluster.removePod(namespace, name)
  }
}

const bundle = async (cluster: Cluster, namespace: string): Promise<string> =>
  textAt(await cluster.ask('GET', `/api/v1/namespaces/${namespace}/configmaps/llama-swap-push-ca`), 'data', 'ca.crt')

const metricsOf = async (operator: RunningOperator): Promise<Map<string, number>> => {
  const text = await (await fetch(`${operator.metricsUrl}/metrics`)).text()
  return new Map(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
}

test('at rest, and while twenty sidecars come and go, an operator writes its Leases and nothing else', async (t) => {
  const cluster = await sharedControlPlane()
  const team = await cluster.namespace()
  const relay = await ApiRelay.start({ upstream: cluster.url, upstreamCa: cluster.ca })
  t.after(() => relay.close())
  const folder = mkdtempSync(join(tmpdir(), 'llama-swap-rest-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const caFile = join(folder, 'ca.crt')
  writeFileSync(caFile, relay.ca)
  const installed = await install(cluster, { namespaces: [team] })
  const operator = await installed.operator(t, { via: { url: relay.url, caFile } })
  await installed.gateway(t)
  await cluster.apply(`
apiVersion: llamaswap.dev/v1alpha1
kind: LlamaModel
metadata: {name: far, namespace: ${team}}
spec: {backends: [{name: rented, url: "https://api.example.com"}, {name: missing, service: {name: none, port: {number: 80}}}]}
`)
  await eventually(async () => {
    const ready = await cluster.kubectl([
      '-n',
      team,
      'get',
      'lmod',
      'far',
      '-o',
      'jsonpath={.status.conditions[?(@.type=="Accepted")].status}',
    ])
    assert.notEqual(ready.stdout, '')
  })
  await delay(SETTLED_MS)
  const before = relay.writes.length
  const startedAt = Date.now()
  await rollOutSidecars(cluster, {
    namespace: team,
    port: Number(new URL(operator.pushUrl).port),
    ca: await bundle(cluster, installed.namespace),
  })
  await delay(REST_MS - (Date.now() - startedAt))
  const written = relay.writes.slice(before).filter((path) => !path.includes('/leases') && !isQuestion(path))
  assert.deepEqual(written, [])
  assert.ok(relay.writes.length > before, 'it goes on renewing')
  const metrics = await metricsOf(operator)
  assert.equal(metrics.get('leader_election_master_status{name="llama-swap-operator"}'), 1)
  for (const path of ['healthz', 'readyz', 'startupz']) assert.equal((await fetch(`${operator.metricsUrl}/${path}`)).status, 200, path)
})
