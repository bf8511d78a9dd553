import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { validateResource } from './validate.ts'

const BACKEND = { name: 'gpu', url: 'http://gpu:8000' }

const model = (spec: object, metadata: object = { name: 'llama' }): object => ({
  apiVersion: 'llamaswap.dev/v1alpha1',
  kind: 'LlamaModel',
  metadata,
  spec,
})
const policy = (spec: object): object => ({ apiVersion: 'llamaswap.dev/v1alpha1', kind: 'RoutingPolicy', metadata: { name: 'auto' }, spec })

function problemsOf(document: unknown): string[] {
  const validated = validateResource(document)
  return 'problems' in validated ? validated.problems.map(({ path, message }) => `${path}: ${message}`) : []
}

test('defaults are filled in where their parent stands, and nowhere else', () => {
  const validated = validateResource(model({ backends: [BACKEND] }))
  assert.ok('resource' in validated)
  assert.deepEqual(validated.resource.spec, {
    backends: [{ ...BACKEND, weight: 1, priority: 0, engine: 'Auto' }],
    visibility: 'Public',
    weight: 1,
    priority: 0,
    access: { from: 'Same' },
  })
})

test('the document that is given stays as it is', () => {
  const document = model({ weight: null, backends: [BACKEND] })
  const before = structuredClone(document)
  validateResource(document)
  assert.deepEqual(document, before)
})

test('a null takes the default where there is one, and is absent where there is none', () => {
  const validated = validateResource(model({ weight: null, contextWindow: null, backends: [BACKEND] }))
  assert.ok('resource' in validated && validated.resource.kind === 'LlamaModel')
  assert.equal(validated.resource.spec.weight, 1)
  assert.ok(!('contextWindow' in validated.resource.spec))
})

test('a null in a list, or under an unknown name, is not dropped', () => {
  assert.deepEqual(problemsOf(model({ colour: null, backends: [null] })), [
    'spec.colour: unknown field "spec.colour"',
    'spec.backends[0]: must be of type object: "null"',
  ])
})

test('status is not judged: it is not the user who writes it', () => {
  assert.deepEqual(problemsOf({ ...model({ backends: [BACKEND] }), status: { anything: true } }), [])
})

test('rules run beside broken patterns and ranges', () => {
  assert.deepEqual(problemsOf(model({ weight: -1, backends: [{ ...BACKEND, weight: 0 }] })), [
    'spec.weight: Invalid value: -1: should be greater than or equal to 0',
    'spec.backends: at least one backend must have a weight above 0',
  ])
})

test('no rule runs when a type, an enum, a required field, an upper size or a name of a field is wrong', () => {
  const broken = { backends: [{ ...BACKEND, weight: 0 }] }
  const blocking = [{ weight: '1' }, { visibility: 'x' }, { maxOutput: {} }, { modelName: 'm'.repeat(254) }, { colour: 1 }]
  for (const fields of blocking) {
    const problems = problemsOf(model({ ...broken, ...fields }))
    assert.equal(problems.length, 1, problems.join('\n'))
    assert.doesNotMatch(problems[0] ?? '', /weight above 0/)
  }
})

test('a rule that cannot be evaluated refuses with its own message', () => {
  const problems = problemsOf(model({ health: { interval: 'soon', timeout: '1s' }, backends: [BACKEND] }))
  assert.ok(problems.includes('spec.health: timeout must not be longer than interval'), problems.join('\n'))
})

test('a misspelled field is told with what was probably meant', () => {
  assert.deepEqual(problemsOf(model({ wieght: 1, backends: [{ ...BACKEND, engin: 'vLLM' }] })), [
    'spec.wieght: unknown field "spec.wieght", did you mean "weight"?',
    'spec.backends[0].engin: unknown field "spec.backends[0].engin", did you mean "engine"?',
  ])
})

test('names that every JavaScript object has are unknown fields like any other', () => {
  for (const name of ['__proto__', 'constructor', 'toString']) {
    const spec = JSON.parse(`{"${name}": {"x": 1}, "backends": [{"name": "a", "url": "http://a", "${name}": 1}]}`)
    assert.deepEqual(problemsOf(model(spec)), [
      `spec.${name}: unknown field "spec.${name}"`,
      `spec.backends[0].${name}: unknown field "spec.backends[0].${name}"`,
    ])
  }
})

test('lengths are counted in characters, not in UTF-16 units', () => {
  const problems = problemsOf(model({ modelName: '😀'.repeat(200), backends: [BACKEND] }))
  assert.ok(
    problems.every((problem) => !problem.includes('Too long')),
    problems.join('\n'),
  )
})

test('weights of one are whole numbers to the rules, whatever JavaScript thinks', () => {
  assert.deepEqual(
    problemsOf(
      policy({
        virtualModels: ['auto'],
        rules: [{ name: 'a', targets: [{ model: 'x', weight: 1 }], matches: [{ promptTokens: { min: 1, max: 1 } }] }],
      }),
    ),
    [],
  )
})

test('metadata follows the rules of Kubernetes', () => {
  const spec = { backends: [BACKEND] }
  assert.match(problemsOf(model(spec, {}))[0] ?? '', /^metadata.name: Required value/)
  assert.match(
    problemsOf(model(spec, { name: 'a', namespace: 'a.b' }))[0] ?? '',
    /^metadata.namespace: Invalid value: "a.b": a lowercase RFC 1123 label/,
  )
  assert.match(problemsOf(model(spec, { name: 'a', labels: { 'a/b/c': 'x' } }))[0] ?? '', /^metadata.labels.a\/b\/c: Invalid value/)
  assert.match(problemsOf(model(spec, { name: 'a', labels: { a: 'b c' } }))[0] ?? '', /a valid label must be an empty string or consist of/)
  assert.deepEqual(
    problemsOf(model(spec, { name: 'a', labels: { 'llamaswap.dev/simulated': 'true' }, annotations: { 'a.b/C': 'any text' } })),
    [],
  )
})

test('other kinds and versions are refused', () => {
  assert.deepEqual(problemsOf({ ...model({}), kind: 'Pod' }), ['kind: must be one of LlamaModel, RoutingPolicy'])
  assert.deepEqual(problemsOf({ ...model({}), apiVersion: 'llamaswap.dev/v1' }), ['apiVersion: must be llamaswap.dev/v1alpha1'])
})

test('anything is judged, nothing throws', () => {
  const kind = fc.constantFrom('LlamaModel', 'RoutingPolicy')
  const key = fc.constantFrom(
    'backends',
    'weight',
    'health',
    'targets',
    'rules',
    'virtualModels',
    'fallback',
    'access',
    'aliases',
    'name',
    'url',
    'model',
  )
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.jsonValue(),
      fc.dictionary(key, tie('value'), { maxKeys: 4 }),
      fc.array(tie('value'), { maxLength: 3 }),
    ),
  }))
  fc.assert(
    fc.property(kind, value, (of, spec) => {
      const validated = validateResource({ apiVersion: 'llamaswap.dev/v1alpha1', kind: of, metadata: { name: 'a' }, spec })
      assert.ok('resource' in validated || validated.problems.length > 0)
    }),
  )
})

test('what was accepted is accepted again, unchanged', () => {
  const backend = fc.record(
    { url: fc.constantFrom('http://a', 'https://b/v1'), weight: fc.nat(1_000_000), priority: fc.nat(1000) },
    { requiredKeys: ['url'] },
  )
  const spec = fc.record(
    { backends: fc.array(backend, { minLength: 1, maxLength: 16 }), weight: fc.nat(1_000_000), contextWindow: fc.nat(99) },
    { requiredKeys: ['backends'] },
  )
  fc.assert(
    fc.property(spec, ({ backends, ...rest }) => {
      const first = validateResource(model({ ...rest, backends: backends.map((one, index) => ({ ...one, name: `b${index}` })) }))
      if ('problems' in first) return
      assert.deepEqual(validateResource(first.resource), first)
    }),
  )
})
