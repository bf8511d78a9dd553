/** `llama-swap status` and `top` of a real installation: what a user sees before, while and after it serves, and the exit codes of scripts. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import type { Cluster } from '../support/control-plane/cluster.ts'
import { requirePrivateNetwork } from '../support/control-plane/network.ts'
import { sharedControlPlane } from '../support/control-plane/shared.ts'
import { eventually } from '../support/eventually.ts'
import { engineAt, type Installation, install } from '../support/installation.ts'
import { startProgram } from '../support/program.ts'

requirePrivateNetwork()
let cluster: Cluster
before(async () => {
  cluster = await sharedControlPlane()
})

async function run(...args: readonly string[]): Promise<{ code: number; output: string }> {
  const program = startProgram({ file: 'cli/main.ts', args })
  const code = await program.ended
  return { code, output: program.output() }
}

const NOBODY = 'http://127.0.0.1:1'

/** `status` as one types it; `operator` absent = through no port-forward. */
const statusOf =
  (installed: Installation, namespace: string) =>
  (operator = NOBODY): ReturnType<typeof run> =>
    run(
      'status',
      `--kubeconfig=${cluster.kubeconfig}`,
      `--namespace=${namespace}`,
      `--operator=${operator}`,
      `--operator-namespace=${installed.namespace}`,
    )

const objects = (namespace: string): string => `
apiVersion: v1
kind: Service
metadata: {name: gpu, namespace: ${namespace}}
spec: {selector: {app: gpu}, ports: [{port: 80, targetPort: 8000}]}
---
apiVersion: llamaswap.dev/v1alpha1
kind: LlamaModel
metadata: {name: llama, namespace: ${namespace}}
spec:
  backends: [{name: gpu, service: {name: gpu, port: {number: 80}}}]
---
apiVersion: llamaswap.dev/v1alpha1
kind: RoutingPolicy
metadata: {name: auto, namespace: ${namespace}}
spec: {virtualModels: [auto], targets: [{model: llama}]}
`

test('status tells why nothing is served yet, then that all is, then who is wrong', async (t) => {
  const team = await cluster.namespace()
  const installed = await install(cluster, { namespaces: [team] })
  const status = statusOf(installed, team)
  await cluster.apply(objects(team))

  const nobody = await status()
  assert.equal(nobody.code, 1, nobody.output)
  assert.match(nobody.output, /^Leader +unknown: there is no such Lease/m)
  assert.match(nobody.output, /^ {2}Ready Unknown, NotJudged: No operator has written a status yet/m)

  const operator = await installed.operator(t)
  await eventually(async () => {
    const { code, output } = await status(operator.adminUrl)
    assert.equal(code, 1, output)
    assert.match(output, /^Proxies +0 gateways, 0 sidecars$/m)
    assert.match(output, /Programmed, Ready False, NoProxies: No gateway is connected/)
  }, 30_000)

  const pod = await cluster.makePod({ namespace: team, name: 'gpu-0', labels: { app: 'gpu' }, ports: [{ port: 8000 }] })
  await engineAt(t, pod.ip, 8000, { says: 'from-gpu-0' })
  const gateway = await installed.gateway(t, { args: ['--anonymous-namespace', team] })
  await eventually(async () => {
    const { code, output } = await status(operator.adminUrl)
    assert.equal(code, 0, output)
    assert.match(output, /^Leader +operator-0, epoch \d+, renewed \d+ s ago$/m)
    assert.match(output, /^Proxies +1 gateway, 0 sidecars$/m)
    assert.match(output, /\/llama +True +1\/1 +1\/1$/m)
    assert.match(output, /\/auto +True +1\/1 +1\/1$/m)
  }, 30_000)
  const alone = await status()
  assert.equal(alone.code, 0, alone.output)
  assert.match(alone.output, /^Proxies +unknown: .*does not answer/m)

  await cluster.apply(`
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: ${team}, labels: {llamaswap.dev/api-key: "true"}}
stringData: {short: "abc"}
---
apiVersion: llamaswap.dev/v1alpha1
kind: RoutingPolicy
metadata: {name: lost, namespace: ${team}}
spec: {virtualModels: [lost], targets: [{model: none}]}
`)
  await eventually(async () => {
    const { code, output } = await status(operator.adminUrl)
    assert.equal(code, 1, output)
    assert.match(output, /^ {2}ResolvedRefs False, TargetNotFound: .*There is no\n? *LlamaModel "none"/m)
    assert.match(output, /^Problems\n {2}Secret \S+\/keys .*has 3 characters/m)
    assert.doesNotMatch(output, /abc/)
    assert.match(output, /^Not Ready: 1 of 3 objects\.$/m)
  }, 30_000)

  const calls = Array.from({ length: 5 }, () =>
    eventually(async () => {
      const body = JSON.stringify({ model: 'auto', messages: [{ role: 'user', content: 'hi' }] })
      const headers = { 'content-type': 'application/json' }
      const response = await fetch(`${gateway.url}/v1/chat/completions`, { method: 'POST', headers, body })
      assert.equal(response.status, 200, await response.text())
    }),
  )
  const [top] = await Promise.all([run('top', '--once', '--operator', operator.adminUrl), ...calls])
  assert.equal(top.code, 0, top.output)
  assert.match(top.output, /\/llama +\d+\.\d +0\.0 +\d+\.\d +0 {2}1\/1 up$/m)
  assert.match(top.output, new RegExp(`^ {2}gpu http://${pod.ip}:8000 +0 {2}up$`, 'm'))

  await operator.close()
  const after = await status()
  assert.equal(after.code, 1, after.output)
  assert.match(after.output, /^Leader +nobody: the last one has let go of the Lease$/m)
})
