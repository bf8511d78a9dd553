import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { dump } from 'js-yaml'
import { loadDocuments } from './yaml.ts'
import { parseYaml } from './yaml-text.ts'

const MODEL = `apiVersion: llamaswap.dev/v1alpha1
kind: LlamaModel
metadata: {name: llama}
spec:
  backends:
  - name: gpu
    url: http://gpu:8000
`

/** "line path: message [object]", or "Kind namespace/name" for what was read. */
function told(text: string): string[] {
  const { documents, problems } = loadDocuments('f.yaml', text)
  return [
    ...documents.map(({ kind, namespace, name }) => `${kind} ${namespace}/${name}`),
    ...problems.map(({ line, path, message, object }) => `${line} ${path}: ${message}${object === undefined ? '' : ` [${object}]`}`),
  ]
}

test('a field is found by its line, a missing one by the line of what should hold it', () => {
  const [document] = loadDocuments('f.yaml', `# a comment\n---\n${MODEL}`).documents
  assert.ok(document)
  const lines = [
    '',
    'kind',
    'metadata.name',
    'spec.backends',
    'spec.backends[0]',
    'spec.backends[0].url',
    'spec.backends[0].auth.type',
    'spec.weight',
  ].map((path) => document.lineOf(path))
  assert.deepEqual(lines, [3, 4, 5, 7, 8, 9, 8, 6])
})

test('lines are right in files of Windows too, and with a byte order mark', () => {
  const [document] = loadDocuments('f.yaml', `\uFEFF${MODEL.replaceAll('\n', '\r\n')}`).documents
  assert.equal(document?.lineOf('spec.backends[0].url'), 7)
})

test('one broken object costs no other', () => {
  const text = [
    MODEL,
    'a: 1\n b: 2\n',
    MODEL.replace('name: llama', 'name: second').replace('url:', 'ulr:'),
    MODEL.replace('name: llama', 'name: third'),
  ].join('---\n')
  assert.deepEqual(told(text), [
    'LlamaModel default/llama',
    'LlamaModel default/third',
    '10 : not valid YAML: bad indentation of a mapping entry',
    '18 spec.backends[0].ulr: unknown field "spec.backends[0].ulr", did you mean "url"? [LlamaModel default/second]',
  ])
})

test('a document marker ends a block of text, as YAML has it', () => {
  assert.deepEqual(told(`${MODEL}# text: |\n---\n${MODEL.replace('name: llama', 'name: b')}`), [
    'LlamaModel default/llama',
    'LlamaModel default/b',
  ])
})

test('empty documents and files say nothing', () => {
  for (const text of ['', '\n', '# only a comment\n', '---\n', '---\n---\n# end\n', 'null\n']) assert.deepEqual(told(text), [])
})

test('a list of objects is each of them', () => {
  const list = `apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Namespace
  metadata: {name: team-a, labels: {tier: gold}}
- apiVersion: llamaswap.dev/v1alpha1
  kind: RoutingPolicy
  metadata: {name: auto, namespace: team-a}
  spec: {virtualModels: [auto], targets: [{model: a, weight: -1}, {model: b}]}
`
  assert.deepEqual(told(list), [
    'Namespace /team-a',
    '10 spec.targets[0].weight: Invalid value: -1: should be greater than or equal to 0 [RoutingPolicy team-a/auto]',
  ])
})

test('kinds, versions and shapes that are not read say which are', () => {
  assert.deepEqual(told('apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n'), [
    '2 kind: kind Pod is not read here; known: LlamaModel, RoutingPolicy, Secret, Namespace [Pod default/a]',
  ])
  assert.deepEqual(told('kind: LlamaModle\n'), [
    '1 kind: kind LlamaModle is not read here; known: LlamaModel, RoutingPolicy, Secret, Namespace, did you mean "LlamaModel"?',
  ])
  assert.deepEqual(told(MODEL.replace('v1alpha1', 'v1')), ['1 apiVersion: must be llamaswap.dev/v1alpha1 [LlamaModel default/llama]'])
  assert.deepEqual(told('- a\n'), ['1 : must be an object with apiVersion, kind and metadata'])
  assert.deepEqual(told('name: a\n'), ['1 kind: Required value: one of LlamaModel, RoutingPolicy, Secret, Namespace'])
})

test('a Secret is read as it stands, and its mistakes are told without its values', () => {
  const secret = 'apiVersion: v1\nkind: Secret\nmetadata: {name: keys, labels: {llamaswap.dev/api-key: "true"}}\n'
  const { documents } = loadDocuments('f.yaml', `${secret}stringData: {a: hidden}\ndata: {b: aGlkZGVu, c: "\${HIDDEN}"}\n`)
  const [document] = documents
  assert.ok(document?.kind === 'Secret')
  assert.deepEqual([document.object.stringData, document.object.data], [{ a: 'hidden' }, { b: 'aGlkZGVu', c: `\${HIDDEN}` }])
  assert.deepEqual(told(`${secret}data: {a: hidden!}\nstringData: {b: 5, "c d": hidden}\n`), [
    '4 data.a: must be base64; plain text belongs in stringData [Secret default/keys]',
    '5 stringData.b: must be of type string: "number"; put it in quotes [Secret default/keys]',
    "5 stringData.c d: a valid config key must consist of alphanumeric characters, '-', '_' or '.' [Secret default/keys]",
  ])
})

const AMBIGUOUS = ['yes', 'No', 'ON', 'off', 'y', 'n', '012', '-07', '0b11', '1_000', '-0x1f', '1:30', '22:00', '.inf', '.NaN']

for (const text of AMBIGUOUS) {
  test(`plain ${text} is refused, because readers differ on it; in quotes it is text`, () => {
    const [plain] = parseYaml(`a: ${text}\n`).documents
    assert.equal(plain?.problems.length, 1)
    const [quoted] = parseYaml(`a: "${text}"\nb: !!str ${text}\n`).documents
    assert.deepEqual([quoted?.value, quoted?.problems], [{ a: text, b: text }, []])
  })
}

test('plain values that all readers agree on are read', () => {
  const [document] = parseYaml(
    '[~, null, true, False, 5, -5, 5.0, .5, 1e3, 0x1F, 0o17, 1.2.3, 30s, 2024-01-01, "", a:b, 0.0.0.0, http://a:80]',
  ).documents
  assert.deepEqual(document?.value, [
    null,
    null,
    true,
    false,
    5,
    -5,
    5,
    0.5,
    1000,
    31,
    15,
    '1.2.3',
    '30s',
    '2024-01-01',
    '',
    'a:b',
    '0.0.0.0',
    'http://a:80',
  ])
})

test('a key that stands twice, is no text or reads as a boolean is a problem', () => {
  const [document] = parseYaml('a: 1\nb: {c: 1, c: 2}\na: 3\non: 1\n? [x]\n: 1\n').documents
  assert.deepEqual(
    document?.problems.map(({ line, path, message }) => `${line} ${path}: ${message}`),
    [
      '2 b.c: "c" stands here twice',
      '3 a: "a" stands here twice',
      '4 on: the key on: plain on is true for kubectl and text for other readers: write true, or "on" in quotes',
      '5 : a key must be text',
    ],
  )
})

test('anchors, aliases and merges are followed', () => {
  const [document] = parseYaml('base: &b {k: 1, l: [2]}\nuse:\n  <<: *b\n  k: 3\nagain: *b\n').documents
  assert.deepEqual(document?.value, { base: { k: 1, l: [2] }, use: { l: [2], k: 3 }, again: { k: 1, l: [2] } })
  assert.deepEqual(parseYaml('a: *nowhere\n').documents[0]?.problems.length, 1)
})

test('aliases that multiply without end are refused', () => {
  const lines = [
    'a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]',
    ...Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join(', ')}]`),
  ]
  const [document] = parseYaml(`${lines.join('\n')}\n`).documents
  assert.match(document?.problems[0]?.message ?? '', /^too large/)
})

test('what is written as YAML is read back', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ minLength: 1 }), fc.jsonValue({ maxDepth: 3 }), { minKeys: 1 }), (value) => {
      const wanted = JSON.parse(JSON.stringify(value))
      const { documents, problems } = parseYaml(dump(wanted))
      assert.deepEqual(problems, [])
      assert.deepEqual(documents[0]?.problems, [])
      assert.deepEqual(documents[0]?.value, wanted)
    }),
  )
})

test('no text makes it throw, and every problem has a line of the file', () => {
  const word = fc.constantFrom(
    'a: ',
    '- ',
    '\n',
    '  ',
    '---\n',
    '&x ',
    '*x',
    '{',
    '}',
    '[',
    ']',
    '"',
    "'",
    '|\n',
    '? ',
    '<<: ',
    'kind: LlamaModel',
    'models:\n',
    '!!',
    '%',
    'yes',
    '\t',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(word).map((words) => words.join('')),
      ),
      (text) => {
        const { problems } = loadDocuments('f.yaml', text)
        const last = text.split('\n').length
        assert.ok(problems.every(({ line }) => line >= 1 && line <= last))
      },
    ),
    { numRuns: 500 },
  )
})
