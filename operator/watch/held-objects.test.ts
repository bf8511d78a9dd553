import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type HeldObjects, holdObjects } from './held-objects.ts'
import { loadDocuments } from './yaml.ts'

const model = (name: string, url = 'http://a:8000'): string =>
  `apiVersion: llamaswap.dev/v1alpha1\nkind: LlamaModel\nmetadata: {name: ${name}}\nspec: {backends: [{name: gpu, url: '${url}'}]}\n`
const BROKEN = (name: string): string => model(name, 'not-an-address')

/** Reads versions of a set of files one after the other and tells what holds at the end. */
function after(...versions: readonly Record<string, string>[]) {
  let objects: HeldObjects = new Map()
  let problems: readonly { readonly file: string; readonly line: number; readonly message: string; readonly object?: string }[] = []
  for (const files of versions) {
    const loads = Object.entries(files).map(([file, text]) => ({ file, ...loadDocuments(file, text) }))
    ;({ objects, problems } = holdObjects(objects, loads))
  }
  const urls = [...objects].map(([key, { document, generation }]) => {
    const url = document.kind === 'LlamaModel' ? document.object.spec.backends[0]?.url : ''
    return `${key} ${url} ${generation}`
  })
  return { urls: urls.sort(), problems }
}

test('an object that an edit breaks keeps its last good version, and the mistake is told with its line', () => {
  const { urls, problems } = after({ 'a.yaml': model('x') }, { 'a.yaml': BROKEN('x') })
  assert.deepEqual(urls, ['LlamaModel default/x http://a:8000 1'])
  assert.deepEqual([problems[0]?.file, problems[0]?.line, problems[0]?.object], ['a.yaml', 4, 'LlamaModel default/x'])
})

test('a repaired object takes over, one generation up', () => {
  const { urls, problems } = after({ 'a.yaml': model('x') }, { 'a.yaml': BROKEN('x') }, { 'a.yaml': model('x', 'http://b:8000') })
  assert.deepEqual(urls, ['LlamaModel default/x http://b:8000 2'])
  assert.deepEqual(problems, [])
})

test('an edit that changes no spec changes no generation', () => {
  const { urls } = after({ 'a.yaml': model('x') }, { 'a.yaml': `# comment\n${model('x')}` })
  assert.deepEqual(urls, ['LlamaModel default/x http://a:8000 1'])
})

test('an object that was never right is not held', () => {
  assert.deepEqual(after({ 'a.yaml': BROKEN('x') }).urls, [])
})

test('a file that is no YAML any more keeps all of its objects', () => {
  const { urls, problems } = after(
    { 'a.yaml': `${model('x')}---\n${model('w')}`, 'b.yaml': model('z') },
    { 'a.yaml': 'a: [', 'b.yaml': model('z') },
  )
  assert.deepEqual(urls, [
    'LlamaModel default/w http://a:8000 1',
    'LlamaModel default/x http://a:8000 1',
    'LlamaModel default/z http://a:8000 1',
  ])
  assert.equal(problems.length, 1)
})

test('one bad document does not keep another from being removed', () => {
  const { urls } = after({ 'a.yaml': `${model('x')}---\n${model('w')}` }, { 'a.yaml': BROKEN('x') })
  assert.deepEqual(urls, ['LlamaModel default/x http://a:8000 1'])
})

test('a removed file takes its objects along', () => {
  assert.deepEqual(after({ 'a.yaml': model('x'), 'b.yaml': model('w') }, { 'b.yaml': model('w') }).urls, [
    'LlamaModel default/w http://a:8000 1',
  ])
})

test('an object that moves to another file stays itself', () => {
  assert.deepEqual(after({ 'a.yaml': model('x') }, { 'b.yaml': model('x', 'http://b:8000') }).urls, [
    'LlamaModel default/x http://b:8000 2',
  ])
})

test('an object in two files is taken from the first, and the second is told', () => {
  const { urls, problems } = after({ 'a.yaml': model('x'), 'b.yaml': model('x', 'http://b:8000') })
  assert.deepEqual(urls, ['LlamaModel default/x http://a:8000 1'])
  assert.match(problems[0]?.message ?? '', /defined in a\.yaml:3 already/)
  assert.equal(problems[0]?.file, 'b.yaml')
})
