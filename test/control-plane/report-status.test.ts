/** Statuses and Events on a real API server: what kubectl shows, and how much is written for it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { ApiRequest } from '../../operator/kube/client.ts'
import type { Heard, ProgrammingFacts } from '../../operator/report/facts.ts'
import { allHave, heard, type Scene, translated } from '../../operator/report/report.fixture.ts'
import { Report } from '../../operator/report/report.ts'
import { FIELD_MANAGER } from '../../operator/report/status-writer.ts'
import { problem } from '../../operator/translate/problems.ts'
import { type Fields, isFields } from '../../operator/validate/problem.ts'
import type { Cluster } from '../support/control-plane/cluster.ts'
import { sharedControlPlane } from '../support/control-plane/shared.ts'
import { eventually } from '../support/eventually.ts'
import { Counted, within } from './lead-ground.ts'

let plane: Cluster
let direct: Counted

before(async () => {
  plane = await sharedControlPlane()
  await plane.installCrds()
  direct = new Counted(plane)
})

after(async () => {
  await direct?.client.close()
})

const modelPath = (namespace: string): string => `/apis/llamaswap.dev/v1alpha1/namespaces/${namespace}/llamamodels/m`
const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {})

/** A namespace with a LlamaModel `m` and a RoutingPolicy `p`, and a report of them. */
async function bench(options: { readonly isLeader?: () => boolean } = {}) {
  const namespace = await plane.namespace()
  const counted = new Counted(plane)
  const errors: unknown[] = []
  const state: { said: Heard } = { said: heard(allHave(3), {}, namespace) }
  const report = (instance: string): Report =>
    new Report({
      client: counted.client,
      isLeader: options.isLeader ?? (() => true),
      instance,
      heard: () => state.said,
      onError: (_object, error) => errors.push(error),
    })
  await writeSpec(namespace)
  await direct.create(`/apis/llamaswap.dev/v1alpha1/namespaces/${namespace}/routingpolicies`, {
    apiVersion: 'llamaswap.dev/v1alpha1',
    kind: 'RoutingPolicy',
    metadata: { name: 'p', namespace },
    spec: { virtualModels: ['auto'], targets: [{ model: 'm' }] },
  })
  const first = report('operator-0')
  return {
    namespace,
    counted,
    errors,
    report: first,
    next: () => report('operator-1'),
    translated: (scene: Scene = {}) => first.translated(translated({ namespace, ...scene })),
    say(programming: ProgrammingFacts, votes: Parameters<typeof heard>[1] = {}) {
      state.said = heard(programming, votes, namespace)
      first.poke()
    },
    status: async (): Promise<Fields> => fieldsOf((await direct.get(modelPath(namespace)))['status']),
    async close() {
      await first.close()
      await counted.client.close()
    },
  }
}

async function writeSpec(namespace: string, spec: Fields = {}): Promise<Fields> {
  const backends = [{ name: 'gpu', url: 'https://api.example.com/v1' }]
  const object = {
    apiVersion: 'llamaswap.dev/v1alpha1',
    kind: 'LlamaModel',
    metadata: { name: 'm', namespace },
    spec: { backends, ...spec },
  }
  return direct.client.serverSideApply(modelPath(namespace), object, { fieldManager: 'user', force: true, ...within() })
}

/** "Ready=True" of each condition. */
const words = (status: Fields): string =>
  (Array.isArray(status['conditions']) ? status['conditions'] : [])
    .map((one: unknown) => fieldsOf(one))
    .map(({ type, status: value, reason }) => `${String(type)}=${String(value)}/${String(reason)}`)
    .join(' ')

test('kubectl shows what is served, and nothing is written at rest, whatever gateways and sidecars say again', async () => {
  const { namespace, counted, errors, ...on } = await bench()
  try {
    on.translated()
    await eventually(async () => assert.match(words(await on.status()), /Ready=True/))
    const models = await plane.kubectl(['get', 'lmod', '-n', namespace, '-o', 'wide', '--no-headers'])
    assert.match(models.stdout.trim(), /^m +m +True +2\/2 +3\/3 +Auto +gpu +\d+s$/)
    const policies = await plane.kubectl(['get', 'rpol', '-n', namespace, '--no-headers'])
    assert.match(policies.stdout, /auto/)
    const waited = await plane.kubectl(['wait', '--for=condition=Ready', 'lmod/m', 'rpol/p', '-n', namespace, '--timeout=5s'])
    assert.equal(waited.code, 0, waited.stderr)
    assert.equal(counted.writes, 2)
    for (let round = 0; round < 30; round += 1) {
      on.translated()
      on.say(allHave(3), {})
      await delay(100)
    }
    assert.equal(counted.writes, 2)
    assert.deepEqual(errors, [])
  } finally {
    await on.close()
  }
})

test('the status is all that is written, by one manager, and another’s condition stays', async () => {
  const { namespace, ...on } = await bench()
  try {
    const theirs = { type: 'TheirsAlone', status: 'True', reason: 'Theirs', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' }
    const body = {
      apiVersion: 'llamaswap.dev/v1alpha1',
      kind: 'LlamaModel',
      metadata: { name: 'm', namespace },
      status: { conditions: [theirs] },
    }
    await direct.client.serverSideApply(modelPath(namespace), body, { fieldManager: 'theirs', subresource: 'status', ...within() })
    on.translated()
    await eventually(async () => assert.match(words(await on.status()), /Ready=True/))
    on.say(allHave(3), { e1: { up: 0, down: 3 } })
    await eventually(async () => assert.match(words(await on.status()), /Degraded=True\/EndpointsDown/))
    on.say(allHave(3))
    await eventually(async () => assert.doesNotMatch(words(await on.status()), /Degraded/))
    assert.match(words(await on.status()), /TheirsAlone=True/)
    const { metadata } = await direct.get(modelPath(namespace))
    const managed = fieldsOf(metadata)['managedFields']
    const ours = (Array.isArray(managed) ? managed : [])
      .map((one: unknown) => fieldsOf(one))
      .filter(({ manager }) => manager === FIELD_MANAGER)
    assert.deepEqual(
      ours.map(({ operation, subresource, fieldsV1 }) => [operation, subresource, Object.keys(fieldsOf(fieldsV1))]),
      [['Apply', 'status', ['f:status']]],
    )
  } finally {
    await on.close()
  }
})

test('an object that changed meanwhile is read again, and its status is written under the new version', async () => {
  const { namespace, counted, errors, ...on } = await bench()
  try {
    on.translated()
    await eventually(async () => assert.match(words(await on.status()), /Ready=True/))
    await writeSpec(namespace, { weight: 7 })
    on.say(allHave(3), { e1: { up: 0, down: 1 } })
    await eventually(async () => assert.match(words(await on.status()), /Degraded=True/))
    assert.ok(counted.records.some(({ code }) => code === '409'))
    on.translated({ generation: 2 })
    await eventually(async () => assert.equal((await on.status())['observedGeneration'], 2))
    assert.deepEqual(errors, [])
  } finally {
    await on.close()
  }
})

test('the word of one who has seen a newer object stands', async () => {
  const { namespace, ...on } = await bench()
  try {
    await writeSpec(namespace, { weight: 7 })
    const status = { observedGeneration: 2, conditions: [] }
    const body = { apiVersion: 'llamaswap.dev/v1alpha1', kind: 'LlamaModel', metadata: { name: 'm', namespace }, status }
    await direct.client.serverSideApply(modelPath(namespace), body, { fieldManager: FIELD_MANAGER, subresource: 'status', ...within() })
    on.translated({ generation: 1 })
    await delay(1500)
    assert.deepEqual(await on.status(), status)
  } finally {
    await on.close()
  }
})

test('an object that flaps is written once in 2 s', async () => {
  const { counted, ...on } = await bench()
  try {
    on.translated()
    await eventually(async () => assert.match(words(await on.status()), /Ready=True/))
    const before = counted.writes
    for (let round = 0; round < 50; round += 1) {
      on.say(allHave(3), { e1: { up: 0, down: round % 2 }, e2: { up: 0, down: round % 2 } })
      await delay(100)
    }
    const writes = counted.writes - before
    assert.ok(writes >= 2 && writes <= 6, `${writes} writes of two objects in 5 s`)
  } finally {
    await on.close()
  }
})

test('who does not lead writes nothing', async () => {
  const { counted, ...on } = await bench({ isLeader: () => false })
  try {
    on.translated({ problems: [problem('ServiceNotFound', 'LlamaModel x/m', 'spec', 'gone')] })
    await delay(1000)
    assert.equal(counted.writes, 0)
  } finally {
    await on.close()
  }
})

test('a new leader writes nothing while gateways come back to it', async () => {
  const { namespace, counted, ...on } = await bench()
  on.translated()
  await eventually(async () => assert.match(words(await on.status()), /Ready=True/))
  await on.report.close()
  const before = counted.writes
  const next = on.next()
  try {
    for (const gateways of [0, 1, 2, 3]) {
      on.say(allHave(gateways))
      next.translated(translated({ namespace }))
      await delay(600)
    }
    assert.equal(counted.writes, before)
    assert.match(words(await on.status()), /Programmed=True\/Programmed Ready=True/)
  } finally {
    await next.close()
    await on.close()
  }
})

test('an object that is gone is let go of, and one made anew at once has a status too, although the same is said of it', async () => {
  const { namespace, errors, ...on } = await bench()
  try {
    on.translated()
    await eventually(async () => assert.match(words(await on.status()), /Ready=True/))
    await direct.client.remove(modelPath(namespace), within())
    on.say(allHave(3), { e1: { up: 0, down: 1 } })
    await delay(2500)
    assert.deepEqual(errors, [])
    on.say(allHave(3))
    await writeSpec(namespace)
    on.translated()
    await eventually(async () => assert.match(words(await on.status()), /Ready=True/))
  } finally {
    await on.close()
  }
})

test('an outage of the API server is waited out', async () => {
  const { namespace, ...on } = await bench()
  let isCut = true
  const { client } = direct
  const cut = (): Promise<never> => Promise.reject(new Error('cut'))
  const errors: unknown[] = []
  const report = new Report({
    client: {
      get: (...call) => (isCut ? cut() : client.get(...call)),
      create: (...call) => (isCut ? cut() : client.create(...call)),
      request: (call: ApiRequest) => (isCut ? cut() : client.request(call)),
      serverSideApply: (...call) => (isCut ? cut() : client.serverSideApply(...call)),
    },
    isLeader: () => true,
    instance: 'operator-0',
    heard: () => heard(allHave(1), {}, namespace),
    onError: (_object, error) => errors.push(error),
  })
  try {
    report.translated(translated({ namespace }))
    await eventually(async () => assert.ok(errors.length >= 6))
    assert.ok(errors.length < 30, `${errors.length}`)
    isCut = false
    await eventually(async () => assert.match(words(await on.status()), /Ready=True/))
  } finally {
    await report.close()
    await on.close()
  }
})

test('problems are Events that kubectl describe shows at their object, once', async () => {
  const { namespace, counted, errors, ...on } = await bench()
  try {
    await direct.create(`/api/v1/namespaces/${namespace}/secrets`, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'keys', namespace },
    })
    const problems = [
      problem('ServiceNotFound', `LlamaModel ${namespace}/m`, 'spec.backends[0].service.name', 'gone'),
      problem('ClientSecretEmpty', `Secret ${namespace}/keys`, 'data'),
    ]
    on.translated({ problems })
    await eventually(async () => assert.match(words(await on.status()), /ResolvedRefs=False\/ServiceNotFound/))
    await eventually(async () => {
      const described = await plane.kubectl(['describe', 'lmod', 'm', '-n', namespace])
      assert.match(
        described.stdout,
        /Warning +ServiceNotFound .*llamaswap\.dev\/operator.*spec\.backends\[0\]\.service\.name: There is no Service "gone"/,
      )
    })
    const secret = await plane.kubectl(['describe', 'secret', 'keys', '-n', namespace])
    assert.match(JSON.stringify(await direct.get(`/apis/events.k8s.io/v1/namespaces/${namespace}/events`)), /ClientSecretEmpty/)
    assert.equal(secret.code, 0)
    on.translated({})
    await delay(400)
    on.translated({ problems })
    await delay(1000)
    const next = on.next()
    next.translated(translated({ namespace, problems }))
    await delay(1500)
    await next.close()
    const { items } = await direct.get(`/apis/events.k8s.io/v1/namespaces/${namespace}/events`)
    const ours = (Array.isArray(items) ? items : []).filter(
      (one: unknown) => fieldsOf(one)['reportingController'] === 'llamaswap.dev/operator',
    )
    assert.equal(ours.length, 2)
    assert.deepEqual(errors, [])
    assert.ok(counted.writes < 12)
  } finally {
    await on.close()
  }
})
