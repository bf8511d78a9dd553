/**
 * The CRDs, and what is said of them, by the judge that counts: the cases of test/crds/ given to a real API server. It must take and refuse
 * what our own validation takes and refuses, blame the same fields in the same words, and fill in the same defaults.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { KINDS, type Kind, SCHEMAS } from '../../operator/resources/schemas.generated.ts'
import { isFields } from '../../operator/validate/problem.ts'
import { validateResource } from '../../operator/validate/validate.ts'
import { type Case, casesIn, documentOf } from '../crds/cases.ts'
import { rulesOf } from '../crds/schema-facts.ts'
import type { Answer } from '../support/control-plane/api.ts'
import type { Cluster } from '../support/control-plane/cluster.ts'
import { sharedControlPlane } from '../support/control-plane/shared.ts'
import { ROOT } from '../support/program.ts'

const RULES = new Set(KINDS.flatMap((kind) => rulesOf(SCHEMAS[kind]).map(({ message }) => message)))
const PLURALS: Readonly<Record<Kind, string>> = { LlamaModel: 'llamamodels', RoutingPolicy: 'routingpolicies' }
/** Added by the server where a mistake kept it from running the rules; no mistake itself. */
const NO_FIELD = '<nil>'
const TOGETHER = { concurrency: 8 }

let plane: Cluster
let namespace: string

before(async () => {
  plane = await sharedControlPlane()
  await plane.installCrds()
  namespace = await plane.namespace()
})

test('kubectl applies both, and they are established', async () => {
  const applied = await plane.kubectl(['apply', '--server-side', '--field-manager=kubectl-of-a-user', '-f', join(ROOT, 'crds')])
  assert.deepEqual({ code: applied.code, stderr: applied.stderr }, { code: 0, stderr: '' })
  const names = KINDS.map((kind) => `customresourcedefinition/${PLURALS[kind]}.llamaswap.dev`)
  const waited = await plane.kubectl(['wait', '--for=condition=Established', '--timeout=10s', ...names])
  assert.equal(waited.code, 0, waited.stderr)
  for (const kind of KINDS) assert.deepEqual(await refusals(kind), [])
})

/** What an API server finds wrong with a CRD it has taken all the same. */
async function refusals(kind: Kind): Promise<unknown[]> {
  const crd = await plane.ask('GET', `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${PLURALS[kind]}.llamaswap.dev`)
  assert.ok(isFields(crd) && isFields(crd['status']) && Array.isArray(crd['status']['conditions']))
  const good = ['NamesAccepted=True', 'Established=True']
  return crd['status']['conditions'].map(({ type, status }) => `${type}=${status}`).filter((one) => !good.includes(one))
}

describe('takes, with the defaults we fill in', TOGETHER, () => {
  for (const one of casesIn('accept')) {
    test(one.name, async () => {
      const { status, body } = await create(one)
      assert.equal(status, 201, messageOf(body))
      const ours = validateResource(documentOf(one))
      assert.ok('resource' in ours && isFields(body))
      assert.deepEqual(body['spec'], ours.resource.spec)
    })
  }
})

test('kubectl reads the files of those it takes as we do', async () => {
  const folder = join(ROOT, 'test', 'crds', 'accept')
  const { code, stdout, stderr } = await plane.kubectl(['apply', '--dry-run=server', '--namespace', namespace, '-f', folder])
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  assert.equal(stdout.trimEnd().split('\n').length, casesIn('accept').length)
})

describe('refuses, for what we refuse it for', TOGETHER, () => {
  for (const one of casesIn('reject')) {
    test(one.name, async () => {
      const { status, body } = await create(one)
      const expected = one.expectedOfServer ?? assert.fail('line 1 must be "# expect: …"')
      assert.ok(messageOf(body).includes(expected), `${messageOf(body)}\nlacks ${expected}`)
      if (status === 400) return // it cannot be read at all: no field is named apart from the text
      assert.equal(status, 422)
      const causes = causesOf(body)
      assert.deepEqual(fieldsOf(causes.map(({ field }) => field)), fieldsOf(problemsOf(one).map(({ path }) => path)))
      if (RULES.has(expected))
        assert.ok(causes.some(({ message }) => message === `Invalid value: ${expected}` || message.endsWith(`: ${expected}`)))
    })
  }
})

/** As kubectl does it by default: unknown fields are refused. Nothing is kept. */
async function create(one: Case): Promise<Answer> {
  const document = documentOf(one)
  assert.ok(isFields(document))
  const kind = KINDS.find((known) => known === document['kind']) ?? assert.fail('a kind of ours')
  const path = `/apis/llamaswap.dev/v1alpha1/namespaces/${namespace}/${PLURALS[kind]}?fieldValidation=Strict&dryRun=All`
  return plane.request('POST', path, document)
}

function problemsOf(one: Case): readonly { readonly path: string }[] {
  const validated = validateResource(documentOf(one))
  return 'problems' in validated ? validated.problems : []
}

interface Cause {
  readonly field: string
  readonly message: string
}

function causesOf(body: unknown): Cause[] {
  assert.ok(isFields(body) && isFields(body['details']) && Array.isArray(body['details']['causes']))
  return body['details']['causes'].map(({ field, message }) => ({ field: String(field), message: String(message) }))
}

/** Once each. A rule about the whole object has no field. */
const fieldsOf = (fields: readonly string[]): string[] => [...new Set(fields)].filter((field) => field !== NO_FIELD && field !== '').sort()

const messageOf = (body: unknown): string => (isFields(body) ? String(body['message']) : String(body))
