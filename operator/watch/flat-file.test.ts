import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { dump } from 'js-yaml'
import { type LoadedDocument, loadDocuments } from './yaml.ts'

const FILE = `models:
- name: llama-70b
  endpoint: http://gpu-server-1:8000
  weight: 10
  max_tokens: 4096
- name: mistral-7b
  endpoint: http://gpu-server-2:8000
  weight: 5
  max_tokens: 8192
routing:
  strategy: weighted-round-robin
  fallback_enabled: true
`

const specOf = (document: LoadedDocument | undefined): unknown =>
  document !== undefined && 'spec' in document.object ? document.object.spec : undefined
const problemsIn = (text: string): string[] =>
  loadDocuments('f.yaml', text).problems.map(({ line, path, message }) => `${line} ${path}: ${message}`)

test('the flat file is the same as the resources it stands for', () => {
  const { documents, problems } = loadDocuments('f.yaml', FILE)
  assert.deepEqual(problems, [])
  const resources = loadDocuments(
    'r.yaml',
    `apiVersion: llamaswap.dev/v1alpha1
kind: LlamaModel
metadata: {name: llama-70b}
spec:
  modelName: llama-70b
  weight: 10
  maxOutput: {tokens: 4096, onExceed: Clamp}
  backends: [{name: default, url: "http://gpu-server-1:8000/v1"}]
---
apiVersion: llamaswap.dev/v1alpha1
kind: LlamaModel
metadata: {name: mistral-7b}
spec:
  modelName: mistral-7b
  weight: 5
  maxOutput: {tokens: 8192, onExceed: Clamp}
  backends: [{name: default, url: "http://gpu-server-2:8000/v1"}]
---
apiVersion: llamaswap.dev/v1alpha1
kind: RoutingPolicy
metadata: {name: auto}
spec:
  virtualModels: [auto]
  strategy: WeightedRoundRobin
  targets: [{model: llama-70b}, {model: mistral-7b}]
  fallback: {enabled: true}
`,
  )
  assert.deepEqual(
    documents.map(({ object }) => object),
    resources.documents.map(({ object }) => object),
  )
})

test('fields of the objects are found in the flat file', () => {
  const [, mistral, auto] = loadDocuments('f.yaml', FILE).documents
  assert.deepEqual(
    ['metadata.name', 'spec.backends[0].url', 'spec.weight', 'spec.maxOutput.tokens', 'spec.timeouts'].map((path) => mistral?.lineOf(path)),
    [6, 7, 8, 9, 6],
  )
  assert.deepEqual(
    ['spec.strategy', 'spec.fallback.enabled', 'spec.targets[0].model'].map((path) => auto?.lineOf(path)),
    [11, 12, 1],
  )
})

test('without routing there is still a policy over all models', () => {
  const { documents } = loadDocuments('f.yaml', 'models: [{name: a, endpoint: "http://a"}]\n')
  assert.deepEqual(specOf(documents[1]), {
    virtualModels: ['auto'],
    targets: [{ model: 'a' }],
    access: { from: 'Same' },
    unknownPrice: 'Allow',
  })
})

test('strategies are spelled with hyphens; with priority the order of the list counts', () => {
  const text = FILE.replace('weighted-round-robin', 'priority')
  const { documents } = loadDocuments('f.yaml', text)
  assert.deepEqual(
    documents.map(({ object }) => ('spec' in object && 'priority' in object.spec ? object.spec.priority : undefined)),
    [0, 1, undefined],
  )
  for (const strategy of ['weighted-random', 'least-load', 'adaptive', 'lowest-latency', 'lowest-cost'])
    assert.deepEqual(problemsIn(FILE.replace('weighted-round-robin', strategy)), [])
})

test('an address with a path keeps it, any other gets /v1', () => {
  const urls = ['http://a', 'http://a/', 'http://a:80', 'http://a/v2/', 'https://a/openai'].map((endpoint) => {
    const [model] = loadDocuments('f.yaml', dump({ models: [{ name: 'a', endpoint }] })).documents
    return model?.kind === 'LlamaModel' ? model.object.spec.backends[0]?.url : undefined
  })
  assert.deepEqual(urls, ['http://a/v1', 'http://a/v1', 'http://a:80/v1', 'http://a/v2/', 'https://a/openai'])
})

test('a name that no object can have is made into one, and clients still send the original', () => {
  const names = ['meta-llama/Llama-3.1-8B', 'GPT-4o', 'gpt-4o', 'qwen2:7b', '7B..x']
  const { documents, problems } = loadDocuments('f.yaml', dump({ models: names.map((name) => ({ name, endpoint: 'http://a' })) }))
  assert.deepEqual(problems, [])
  const models = documents.filter(({ kind }) => kind === 'LlamaModel')
  assert.deepEqual(
    models.map(({ name }) => name),
    ['meta-llama-llama-3.1-8b', 'gpt-4o', 'gpt-4o-2', 'qwen2-7b', '7b.x'],
  )
  assert.deepEqual(
    models.map(({ object }) => ('spec' in object && 'modelName' in object.spec ? object.spec.modelName : undefined)),
    names,
  )
})

const MISTAKES: Readonly<Record<string, readonly [text: string, ...told: string[]]>> = {
  'a weight below zero': [
    'models:\n- name: a\n  endpoint: http://a\n  weight: -1\n',
    '4 models[0].weight: Invalid value: -1: should be greater than or equal to 0',
  ],
  'a weight that is no number': [
    'models:\n- {name: a, endpoint: "http://a", weight: heavy}\n',
    '2 models[0].weight: must be of type integer: "string"',
  ],
  'a missing endpoint': [
    'models:\n- name: a\n',
    '2 models[0].endpoint: Required value: the address of the engine, such as http://gpu-server-1:8000',
  ],
  'an endpoint without scheme': [
    'models:\n- {name: a, endpoint: "gpu:8000"}\n',
    '2 models[0].endpoint: must start with http:// or https://',
  ],
  'a missing name': ['models:\n- endpoint: http://a\n', '2 models[0].name: Required value: the name clients send'],
  'a name that is a number': [
    'models:\n- {name: 4, endpoint: "http://a"}\n',
    '2 models[0].name: must be of type string: "number"; put it in quotes',
  ],
  'a name that stands twice': [
    'models:\n- {name: a, endpoint: "http://a"}\n- {name: a, endpoint: "http://b"}\n',
    '3 models[1].name: Duplicate value: "a" is the name of models[0] too',
  ],
  'the name of the policy': [
    'models:\n- {name: auto, endpoint: "http://a"}\n',
    '2 models[0].name: "auto" is the name under which all models are reached: choose another',
  ],
  'a misspelled key': [
    'models:\n- name: a\n  endpoint: http://a\n  max-token: 5\n',
    '4 models[0].max-token: unknown field "max-token", did you mean "max_tokens"?',
  ],
  'a key that only resources have': [
    'models:\n- name: a\n  endpoint: http://a\n  requestTimeout: 5s\n',
    '4 models[0].requestTimeout: the flat file has no "requestTimeout": use resources, and there timeouts in the spec of a LlamaModel',
  ],
  priorities: [
    'models:\n- {name: a, endpoint: "http://a", priority: 1}\n',
    '2 models[0].priority: the flat file has no "priority": use resources, and there priority in the spec of a LlamaModel',
  ],
  'a fallback chain': [
    'models:\n- {name: a, endpoint: "http://a"}\nrouting:\n  fallback_chain: [a]\n',
    '4 routing.fallback_chain: the flat file has no "fallback_chain": use resources, and there fallback.targets in the spec of a RoutingPolicy',
  ],
  'a cost ceiling': [
    'models:\n- {name: a, endpoint: "http://a"}\nrouting:\n  cost_ceiling: 1\n',
    '4 routing.cost_ceiling: the flat file has no "cost_ceiling", and neither have resources in this version: take it out',
  ],
  'a limit on rates': [
    'models:\n- {name: a, endpoint: "http://a"}\nrouting:\n  rateLimit: 60\n',
    '4 routing.rateLimit: the flat file has no "rateLimit": use resources, and there limits in the spec of a LlamaModel, or clients[].limits in that of a RoutingPolicy',
  ],
  'a price': [
    'models:\n- {name: a, endpoint: "http://a", input_cost: 1}\n',
    '2 models[0].input_cost: the flat file has no "input_cost": use resources, and there pricing in the spec of a LlamaModel',
  ],
  'a key at the top that nothing has': [
    'models:\n- {name: a, endpoint: "http://a"}\nlogging: {}\n',
    '3 logging: unknown field "logging": known here are models, routing',
  ],
  'an unknown strategy': [
    'models:\n- {name: a, endpoint: "http://a"}\nrouting: {strategy: weighted-roundrobn}\n',
    '3 routing.strategy: Unsupported value: "weighted-roundrobn": supported values: "weighted-round-robin", "weighted-random", "priority", "least-load", "adaptive", "lowest-latency", "lowest-cost", did you mean "weighted-round-robin"?',
  ],
  'a fallback that is no boolean': [
    'models:\n- {name: a, endpoint: "http://a"}\nrouting: {fallback_enabled: "yes"}\n',
    '3 routing.fallback_enabled: must be of type boolean: "string"',
  ],
  'no models': ['models: []\n', '1 models: must be a list of at least one model'],
  'models that are no list': ['models: {a: 1}\n', '1 models: must be a list of at least one model'],
  'routing that is no mapping': [
    'models:\n- {name: a, endpoint: "http://a"}\nrouting: priority\n',
    '3 routing: must be a mapping with strategy and fallback_enabled',
  ],
  'more models than a policy has targets': [
    `models:\n${Array.from({ length: 17 }, (_, index) => `- {name: m${index}, endpoint: "http://a"}\n`).join('')}`,
    '1 models: Too many: 17: must have at most 16 items',
  ],
}

for (const [mistake, [text, ...told]] of Object.entries(MISTAKES)) {
  test(`${mistake} is told with its line`, () => assert.deepEqual(problemsIn(text), told))
}

test('a mistake in one model costs neither the others nor the policy', () => {
  const { documents } = loadDocuments('f.yaml', FILE.replace('weight: 5', 'weight: -5'))
  assert.deepEqual(
    documents.map(({ kind, name }) => `${kind} ${name}`),
    ['LlamaModel llama-70b', 'RoutingPolicy auto'],
  )
})

test('any names give models of different names, each with its own', () => {
  const name = fc.stringMatching(/^[A-Za-z0-9]([A-Za-z0-9._:/@+-]{0,80}[A-Za-z0-9])?$/).filter((one) => one !== 'auto')
  fc.assert(
    fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 16 }), (names) => {
      const { documents, problems } = loadDocuments(
        'f.yaml',
        JSON.stringify({ models: names.map((one) => ({ name: one, endpoint: 'http://a' })) }),
      )
      assert.deepEqual(problems, [])
      assert.equal(new Set(documents.map((document) => `${document.kind} ${document.name}`)).size, names.length + 1)
    }),
  )
})
