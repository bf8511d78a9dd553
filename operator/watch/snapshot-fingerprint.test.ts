import assert from 'node:assert/strict'
import { test } from 'node:test'
import { STANDALONE_SETTINGS } from '../resources/snapshot.ts'
import { holdObjects } from './held-objects.ts'
import { makeResources } from './make-resources.ts'
import { fingerprint } from './snapshot-fingerprint.ts'
import { loadDocuments } from './yaml.ts'

const MODEL =
  "apiVersion: llamaswap.dev/v1alpha1\nkind: LlamaModel\nmetadata: {name: a}\nspec: {weight: 3, backends: [{name: gpu, url: 'http://a:8000'}]}\n"
const SECRET = 'apiVersion: v1\nkind: Secret\nmetadata: {name: api}\nstringData: {key: sk-1, other: sk-2}\n'
const file = 'a.yaml'

const print = (...documents: string[]): string => {
  const { objects } = holdObjects(new Map(), [{ file, ...loadDocuments(file, documents.join('---\n')) }])
  return fingerprint(makeResources(objects, { env: {}, settings: STANDALONE_SETTINGS }).resources, [])
}

test('order and spelling do not count', () => {
  const spelled = MODEL.replace(
    "{weight: 3, backends: [{name: gpu, url: 'http://a:8000'}]}",
    '\n  backends:\n  - url: http://a:8000\n    name: gpu\n  weight: 3',
  )
  assert.equal(print(SECRET, spelled), print(MODEL, SECRET))
})

const CHANGES: Record<string, string> = {
  'a spec': `${MODEL.replace('3', '4')}---\n${SECRET}`,
  'a label': `${MODEL.replace('name: a}', 'name: a, labels: {x: z}}')}---\n${SECRET}`,
  'a secret value': `${MODEL}---\n${SECRET.replace('sk-2', 'sk-3')}`,
  'one object less': MODEL,
}

for (const [what, text] of Object.entries(CHANGES)) {
  test(`${what} counts`, () => assert.notEqual(print(text), print(MODEL, SECRET)))
}

test('a new problem counts', () => {
  const { objects } = holdObjects(new Map(), [{ file, ...loadDocuments(file, MODEL) }])
  const { resources } = makeResources(objects, { env: {}, settings: STANDALONE_SETTINGS })
  assert.notEqual(fingerprint(resources, [{ file, line: 1, path: '', message: 'wrong' }]), fingerprint(resources, []))
})
