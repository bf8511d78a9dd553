import assert from 'node:assert/strict'
import { request } from 'node:https'
import { type TestContext, test } from 'node:test'
import { inject } from '../inject/inject.ts'
import { podOf, SETTINGS } from '../inject/pod.fixture.ts'
import { type KeyedCertificate, makeAuthority, signServer } from '../push/certificate-authority.ts'
import { fieldsOf, textOf } from '../validate/raw-fields.ts'
import { supportsNative } from './native.ts'
import { AdmissionServer, type AdmissionServerOptions, type WebhookRecord } from './server.ts'

interface Webhook {
  readonly server: AdmissionServer
  readonly records: WebhookRecord[]
  readonly bugs: unknown[]
  readonly authority: KeyedCertificate
  ask(
    body: string,
    options?: { readonly path?: string; readonly ca?: string },
  ): Promise<{ readonly status: number; readonly body: unknown }>
}

async function open(t: TestContext, judge: AdmissionServerOptions['judge'] = (pod, namespace) => inject(pod, namespace, SETTINGS, 'v1')) {
  const [records, bugs]: [WebhookRecord[], unknown[]] = [[], []]
  const server = new AdmissionServer({ judge, onRecord: (record) => records.push(record), onBug: (error) => bugs.push(error) })
  t.after(() => server.close())
  const authority = await makeAuthority(Date.now())
  server.setCertificate(await signServer(authority, ['127.0.0.1'], Date.now()))
  const port = await server.listen(0, '127.0.0.1')
  const ask: Webhook['ask'] = (body, { path = '/inject', ca = authority.cert } = {}) =>
    new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port, path, method: 'POST', ca, agent: false }, (answer) => {
        let text = ''
        answer.setEncoding('utf8').on('data', (part: string) => {
          text += part
        })
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: JSON.parse(text) }))
      })
      sent.on('error', reject).end(body)
    })
  return { server, records, bugs, authority, ask } satisfies Webhook
}

const review = (object: unknown, more: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: { uid: 'u-1', namespace: 'apps', object, ...more },
  })
const responseOf = (body: unknown) => fieldsOf(fieldsOf(body)['response'])

test('a Pod that asks has a patch as answer, and is counted', async (t) => {
  const { ask, records } = await open(t)
  const { status, body } = await ask(review(podOf()))
  const { uid, allowed, patchType, patch } = responseOf(body)
  assert.deepEqual([status, uid, allowed, patchType], [200, 'u-1', true, 'JSONPatch'])
  assert.deepEqual(JSON.parse(Buffer.from(textOf(patch), 'base64').toString()), inject(podOf(), 'apps', SETTINGS, 'v1').patch)
  assert.deepEqual([records[0]?.result, records[0]?.status], ['Injected', 200])
})

test('a Pod that does not ask is allowed without a patch, and so is one that a bug of ours meets', async (t) => {
  const { ask, bugs, records } = await open(t, () => {
    throw new Error('a bug')
  })
  const { body } = await ask(review(podOf()))
  const { allowed, patch, warnings } = responseOf(body)
  assert.deepEqual([allowed, patch, [warnings].flat().length, bugs.length, records[0]?.result], [true, undefined, 1, 1, 'Error'])
  const other = await open(t)
  assert.deepEqual(responseOf((await other.ask(review({}))).body), { uid: 'u-1', allowed: true })
})

test('warnings are short and plain, as headers must be; a dry run counts for nothing', async (t) => {
  const { ask, records } = await open(t)
  const pod = podOf({
    containers: [{ name: 'a', ports: [{ containerPort: 18080 }] }],
    annotations: { 'llamaswap.dev/sidecar-cpu-limit': 'ü\n' },
  })
  const { body } = await ask(review(pod, { dryRun: true }))
  const [warning = ''] = [responseOf(body)['warnings']].flat()
  assert.match(String(warning), /^[\x20-\x7e]{1,256}$/)
  assert.deepEqual([records[0]?.status, records[0]?.result], [200, undefined])
})

for (const [name, text] of Object.entries({
  'no JSON': '{',
  'another version': review({}).replace('k8s.io/v1', 'k8s.io/v1beta1'),
  'no Pod': review(undefined),
  'no uid': review({}, { uid: 7 }),
}))
  test(`what is no review is refused: ${name}`, async (t) => {
    const { ask, records } = await open(t)
    assert.equal((await ask(text)).status, 400)
    assert.equal(records[0]?.result, undefined)
  })

test('a body without end is refused, and another path is not there', async (t) => {
  const { ask } = await open(t)
  const outcome = await ask(' '.repeat(5 * 1024 * 1024)).then(
    ({ status }) => status,
    () => 'broken off',
  )
  assert.ok(outcome === 400 || outcome === 'broken off')
  assert.equal((await ask(review({}), { path: '/other' })).status, 404)
})

test('a new certificate is in use at the next connection', async (t) => {
  const { server, ask, authority } = await open(t)
  const next = await makeAuthority(Date.now())
  server.setCertificate(await signServer(next, ['127.0.0.1'], Date.now()))
  await assert.rejects(ask(review(podOf()), { ca: authority.cert }))
  assert.equal((await ask(review(podOf()), { ca: next.cert })).status, 200)
})

test('native sidecars are there from 1.29 on, and where nobody says a version', () => {
  const versions: readonly (readonly [string, string, boolean])[] = [
    ['1', '28', false],
    ['1', '28+', false],
    ['1', '29', true],
    ['1', '33+', true],
    ['2', '0', true],
    ['', '', true],
  ]
  for (const [major, minor, expected] of versions) assert.equal(supportsNative({ major, minor }), expected, minor)
})
