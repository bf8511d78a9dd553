/** The ground of the other suites: what `startControlPlane` and its helpers promise. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import { KubeConfig } from '@kubernetes/client-node'
import { textAt, valueAt } from '../support/control-plane/api.ts'
import { type ControlPlane, startControlPlane } from '../support/control-plane/control-plane.ts'
import { podAddress, requirePrivateNetwork } from '../support/control-plane/network.ts'
import { startServiceForwarder } from '../support/control-plane/service-forwarder.ts'
import { eventually } from '../support/eventually.ts'

let plane: ControlPlane
let namespace: string

before(async () => {
  plane = await startControlPlane()
  namespace = await plane.namespace({ team: 'a' })
})

after(async () => {
  await plane.stop()
  assert.equal(existsSync(plane.folder), false)
})

const configMap = (name: string): string => `/api/v1/namespaces/${namespace}/configmaps/${name}`
const makeConfigMap = (name: string): Promise<unknown> =>
  plane.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { a: '1' } }, namespace)
const statusOf = async (path: string): Promise<number> => (await plane.request('GET', path)).status

test('it is the Kubernetes that its go.mod names', async () => {
  assert.equal(textAt(await plane.ask('GET', '/version'), 'gitVersion'), 'v1.37.1')
  assert.match((await plane.kubectl(['version'])).stdout, /Server Version: v1\.37\.1/)
})

test('an unknown field is refused on apply, in the words of the server', async () => {
  const wrong = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'wrong' }, datum: {} }
  await assert.rejects(plane.apply(wrong, namespace), /field not declared in schema|unknown field "datum"/)
})

test('a killed API server comes back with all it had, and older versions are gone', async () => {
  await makeConfigMap('kept')
  await plane.killApiServer()
  await assert.rejects(plane.request('GET', '/version'))
  await plane.startApiServer()
  assert.equal(await statusOf(configMap('kept')), 200)
  const watch = plane.lines(`/api/v1/namespaces/${namespace}/configmaps?watch=true&resourceVersion=1`, AbortSignal.timeout(10_000))
  assert.equal(valueAt((await watch.next()).value, 'object', 'code'), 410)
})

test('a saved state is the truth again once it is restored, for controllers too', async () => {
  await makeConfigMap('before')
  const state = await plane.saveState()
  await makeConfigMap('after')
  await plane.restoreState(state)
  assert.deepEqual([await statusOf(configMap('before')), await statusOf(configMap('after'))], [200, 404])
  await plane.namespace()
})

test("a token is its Pod's, for its audience, and no credential for the API", async () => {
  const pod = await plane.makePod({ namespace, name: 'holder', serviceAccount: 'worker' })
  const token = await plane.token({ namespace, serviceAccount: 'worker', audience: 'llama', pod: 'holder' })
  const review = async (audience: string): Promise<unknown> => {
    const spec = { token, audiences: [audience] }
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec }
    return valueAt(await plane.ask('POST', '/apis/authentication.k8s.io/v1/tokenreviews', body), 'status')
  }
  const good = await review('llama')
  assert.equal(valueAt(good, 'user', 'username'), `system:serviceaccount:${namespace}:worker`)
  assert.deepEqual(valueAt(good, 'user', 'extra', 'authentication.kubernetes.io/pod-uid'), [pod.uid])
  assert.equal(valueAt(await review('other'), 'authenticated'), undefined)
})

test('the kubeconfig of a ServiceAccount is read by client-node', async () => {
  const { kubeconfig } = await plane.serviceAccountKubeconfig({ namespace, name: 'reader' })
  const config = new KubeConfig()
  config.loadFromFile(kubeconfig)
  const options: { headers: Record<string, string> } = { headers: {} }
  await config.applyToHTTPSOptions(options)
  assert.match(options.headers['Authorization'] ?? '', /^Bearer ey/)
})

test('a Service answers at its ClusterIP while a Pod of it is ready', async () => {
  requirePrivateNetwork()
  const forwarder = startServiceForwarder(plane)
  const pod = await plane.makePod({ namespace, name: 'engine', labels: { app: 'engine' }, ports: [{ name: 'http', port: 8000 }] })
  const spec = { selector: { app: 'engine' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }] }
  const [service] = await plane.apply({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'engine' }, spec }, namespace)
  const engine = createServer((_, answer) => answer.end('an answer'))
  engine.listen(8000, pod.ip)
  await once(engine, 'listening')
  const ask = async (): Promise<string> => {
    const response = await fetch(`http://${textAt(service, 'spec', 'clusterIP')}`, { headers: { connection: 'close' } })
    return response.text()
  }
  assert.equal(await eventually(ask), 'an answer')
  await plane.setPod(namespace, 'engine', { ready: false })
  await eventually(() => assert.rejects(ask()))
  await plane.setPod(namespace, 'engine', { ready: true, terminatingSeconds: 30 })
  assert.equal(await eventually(ask), 'an answer')
  await plane.removePod(namespace, 'engine')
  await eventually(() => assert.rejects(ask()))
  await forwarder.close()
  engine.close()
})

test('no address is given out twice', () => {
  const addresses = Array.from({ length: 1000 }, podAddress)
  assert.equal(new Set(addresses).size, addresses.length)
})
