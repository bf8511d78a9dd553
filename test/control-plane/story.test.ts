/** kubectl apply, and every proxy serves it; what changes, changes everywhere; statuses say so. All programs are real. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import type { Cluster } from '../support/control-plane/cluster.ts'
import { requirePrivateNetwork } from '../support/control-plane/network.ts'
import { sharedControlPlane } from '../support/control-plane/shared.ts'
import { eventually } from '../support/eventually.ts'
import { engineAt, install } from '../support/installation.ts'
import type { RunningProxy } from '../support/proxy.ts'

requirePrivateNetwork()
let cluster: Cluster
before(async () => {
  cluster = await sharedControlPlane()
})

async function say(proxy: RunningProxy, model: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`${proxy.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }] }),
  })
  return { status: response.status, text: await response.text() }
}

const says = (proxy: RunningProxy, model: string, text: string): Promise<void> =>
  eventually(async () => {
    const answer = await say(proxy, model)
    assert.equal(answer.status, 200, answer.text)
    assert.match(answer.text, new RegExp(text))
  })

test('a model of a Service and a policy are applied, and every proxy serves them', async (t) => {
  const team = await cluster.namespace()
  const installed = await install(cluster, { namespaces: [team] })
  await installed.operator(t)
  const gateways = await Promise.all([1, 2].map(() => installed.gateway(t, { args: ['--anonymous-namespace', team] })))
  const pod = await cluster.makePod({ namespace: team, name: 'gpu-0', labels: { app: 'gpu' }, ports: [{ port: 8000 }] })
  await engineAt(t, pod.ip, 8000, { says: 'from-gpu-0' })
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
---
apiVersion: llamaswap.dev/v1alpha1
kind: RoutingPolicy
metadata: {name: auto, namespace: ${team}}
spec: {virtualModels: [auto], targets: [{model: llama}]}
`)
  for (const gateway of gateways) {
    await says(gateway, 'llama', 'from-gpu-0')
    await says(gateway, 'auto', 'from-gpu-0')
  }
  const waited = await cluster.kubectl(['-n', team, 'wait', '--for=condition=Ready', 'lmod/llama', 'rpol/auto', '--timeout=20s'])
  assert.equal(waited.code, 0, waited.stderr)
  const got = await cluster.kubectl(['-n', team, 'get', 'lmod,rpol', '--no-headers'])
  assert.match(got.stdout, /llama +llama +True +1\/1 +2\/2/)
  assert.match(got.stdout, /auto +auto +True +llama +2\/2/)
})
