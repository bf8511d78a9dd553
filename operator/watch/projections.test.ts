import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isFields } from '../validate/problem.ts'
import { projectPod } from './project-pod.ts'
import { projectModel, projectPolicy } from './project-resource.ts'
import { projectClientKeys, projectSecret, sameSecret } from './project-secret.ts'
import { projectService } from './project-service.ts'
import { projectSlice } from './project-slice.ts'

const metadata = { namespace: 'n', name: 'a', uid: 'u', generation: 3, creationTimestamp: '2026-01-01T00:00:00Z' }

test('a pod: its addresses, state, account and named ports, those of sidecars too', () => {
  const pod = projectPod({
    metadata: { ...metadata, labels: { app: 'x' }, deletionTimestamp: '2026-01-01T00:00:00Z', annotations: { large: 'text' } },
    spec: {
      serviceAccountName: 'app',
      initContainers: [
        { restartPolicy: 'Always', ports: [{ name: 'side', containerPort: 9 }] },
        { ports: [{ name: 'init', containerPort: 8 }] },
      ],
      containers: [{ ports: [{ name: 'http', containerPort: 80 }, { containerPort: 81 }] }],
    },
    status: {
      phase: 'Running',
      podIP: '10.0.0.1',
      podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  })
  assert.deepEqual(pod, {
    metadata: { namespace: 'n', name: 'a', labels: { app: 'x' } },
    uid: 'u',
    serviceAccount: 'app',
    phase: 'Running',
    ready: true,
    terminating: true,
    ips: ['10.0.0.1', 'fd00::1'],
    ports: [
      { name: 'side', port: 9 },
      { name: 'http', port: 80 },
    ],
  })
})

test("a slice: absent conditions mean ready; without its Service it is nobody's", () => {
  const slice = {
    metadata: { ...metadata, labels: { 'kubernetes.io/service-name': 'gpu' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 80 }, { port: null }],
    endpoints: [{ addresses: ['10.0.0.1'] }, { addresses: ['10.0.0.2'], conditions: { ready: false, serving: true, terminating: true } }],
  }
  assert.deepEqual(projectSlice(slice), {
    metadata: { namespace: 'n', name: 'a' },
    service: 'gpu',
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 80 }, { name: '' }],
    endpoints: [
      { addresses: ['10.0.0.1'], ready: true, serving: true, terminating: false },
      { addresses: ['10.0.0.2'], ready: false, serving: true, terminating: true },
    ],
  })
  assert.equal(projectSlice({ ...slice, metadata }), undefined)
})

test('a Service: headless is one without ClusterIPs', () => {
  const spec = { type: 'ClusterIP', clusterIPs: ['None'], ports: [{ port: 80, targetPort: 8080 }] }
  const service = { metadata: { namespace: 'n', name: 'a' }, type: 'ClusterIP', clusterIPs: [], ports: [{ name: '', port: 80 }] }
  assert.deepEqual(projectService({ metadata, spec }), service)
})

const model = (spec: unknown) => ({
  metadata: { ...metadata, managedFields: [], newInTheNextRelease: true },
  spec,
  status: { anything: true },
})

test('a model comes with its defaults; one that is wrong keeps the last that was right', () => {
  const good = projectModel(model({ backends: [{ name: 'b', url: 'https://a.example/v1' }] }), undefined)
  assert.equal(good.resource?.spec.weight, 1)
  assert.equal(good.resource?.metadata.createdAtMs, Date.parse('2026-01-01T00:00:00Z'))
  const bad = projectModel(model({ backends: [] }), good)
  assert.equal(bad.resource, good.resource)
  assert.equal(bad.problems[0]?.path, 'spec.backends')
  assert.equal(projectModel(model({ backends: [] }), undefined).resource, undefined)
})

test('an event that changes neither spec nor metadata gives the same object; one of another generation does not', () => {
  const object = model({ backends: [{ name: 'b', url: 'https://a.example/v1' }] })
  const first = projectModel(object, undefined)
  const stored = { ...object, spec: first.resource?.spec, status: { anything: 'else' } }
  assert.equal(projectModel(stored, first), first)
  const later = projectModel({ ...stored, metadata: { ...object.metadata, generation: 4 } }, first)
  assert.equal(later.resource?.metadata.generation, 4)
})

test("a key is forgotten for its digest, and is nobody's credential", () => {
  const secret = {
    metadata: { ...metadata, labels: { 'llamaswap.dev/api-key': 'true' } },
    data: { one: Buffer.from('a-key\n').toString('base64') },
  }
  assert.equal(projectClientKeys(secret).entries[0]?.characters, 5)
  assert.equal(projectSecret(secret), undefined)
})

test('a Secret whose value changes is another, though it prints the same', () => {
  const secret = (value: string) => projectSecret({ metadata, data: { one: Buffer.from(value).toString('base64') } })
  const [a, b, c] = [secret('first'), secret('second'), secret('first')]
  assert.ok(a !== undefined && b !== undefined && c !== undefined)
  assert.equal(JSON.stringify(a).includes('first'), false)
  assert.deepEqual([sameSecret(a, b), sameSecret(a, c)], [false, true])
})

test('no object, however strange, stops its kind', () => {
  const projections = [projectPod, projectSlice, projectService, projectClientKeys, projectSecret]
  const strange = fc.object({
    key: fc.constantFrom('metadata', 'spec', 'status', 'data', 'labels', 'ports', 'endpoints', 'containers', 'x'),
    maxDepth: 4,
  })
  fc.assert(
    fc.property(strange, (object) => {
      if (!isFields(object)) return
      for (const project of projections) project(object)
      projectModel(object, undefined)
      projectPolicy(object, undefined)
    }),
  )
})
