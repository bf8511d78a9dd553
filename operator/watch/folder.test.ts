import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Resources, STANDALONE_SETTINGS } from '../resources/snapshot.ts'
import { FolderSource } from './folder.ts'
import type { LoadProblem } from './yaml.ts'

interface Snapshot {
  readonly resources: Resources
  readonly problems: readonly LoadProblem[]
}

const model = (name: string, url = 'http://a:8000'): string =>
  `apiVersion: llamaswap.dev/v1alpha1\nkind: LlamaModel\nmetadata: {name: ${name}}\nspec: {backends: [{name: gpu, url: '${url}'}]}\n`
const KEY = `apiVersion: v1\nkind: Secret\nmetadata: {name: app, labels: {llamaswap.dev/api-key: 'true'}}\nstringData: {key: '\${APP_KEY}'}\n`

/** A folder of its own with these files, watched; both end with the test. `next` gives the snapshots one by one, as they come. */
async function watching(t: TestContext, files: Record<string, string>, { path = '.', env = {} } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'llama-swap-folder-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  for (const [file, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, file)), { recursive: true })
    await writeFile(join(folder, file), text)
  }
  const arrived: Snapshot[] = []
  const errors: unknown[] = []
  let arrive = (): void => undefined
  const onSnapshot = (resources: Resources, problems: readonly LoadProblem[]): void => {
    arrived.push({ resources, problems })
    arrive()
  }
  const onError = (error: unknown): void => {
    errors.push(error)
    arrive()
  }
  const source = new FolderSource({
    path: join(folder, path),
    env,
    settings: { ...STANDALONE_SETTINGS, builtInAuto: false },
    onSnapshot,
    onError,
  })
  t.after(() => source.close())
  await source.start()
  const next = async (): Promise<Snapshot> => {
    while (arrived.length === 0 && errors.length === 0) await new Promise<void>((resolve) => (arrive = resolve))
    const snapshot = arrived.shift()
    if (snapshot === undefined) throw errors.shift()
    return snapshot
  }
  return { folder, source, next, write: (file: string, text: string) => writeFile(join(folder, file), text) }
}

const urls = ({ resources }: Snapshot): string[] =>
  [...resources.models.values()].map(({ metadata, spec }) => `${metadata.name} ${spec.backends[0]?.url} ${metadata.generation}`).sort()

test('the first snapshot is there when start resolves, from all folders below', { timeout: 10_000 }, async (t) => {
  const { next } = await watching(t, { 'a.yaml': model('a'), 'deep/er/b.yml': model('b'), 'notes.txt': 'x', '.hidden.yaml': model('c') })
  assert.deepEqual(urls(await next()), ['a http://a:8000 1', 'b http://a:8000 1'])
})

test('an edit is effective within a second', { timeout: 10_000 }, async (t) => {
  const { next, write } = await watching(t, { 'a.yaml': model('a') })
  await next()
  const begun = performance.now()
  await write('a.yaml', model('a', 'http://b:8000'))
  assert.deepEqual(urls(await next()), ['a http://b:8000 2'])
  assert.ok(performance.now() - begun < 1000, `${performance.now() - begun} ms`)
})

test('new files and new folders are seen, and removed ones forgotten', { timeout: 10_000 }, async (t) => {
  const { folder, next, write } = await watching(t, { 'a.yaml': model('a') })
  await next()
  await mkdir(join(folder, 'more'))
  await write('more/b.yaml', model('b'))
  assert.deepEqual(urls(await next()), ['a http://a:8000 1', 'b http://a:8000 1'])
  await write('more/b.yaml', model('b', 'http://b:8000'))
  assert.deepEqual(urls(await next()), ['a http://a:8000 1', 'b http://b:8000 2'])
  await rm(join(folder, 'more'), { recursive: true })
  assert.deepEqual(urls(await next()), ['a http://a:8000 1'])
})

test('an editor that writes beside the file and renames is followed, edit after edit', { timeout: 10_000 }, async (t) => {
  const { folder, next, write } = await watching(t, { 'models.yaml': model('a') }, { path: 'models.yaml' })
  await next()
  for (const host of ['b', 'c', 'd']) {
    await write('models.yaml~', model('a', `http://${host}:8000`))
    await rename(join(folder, 'models.yaml~'), join(folder, 'models.yaml'))
    assert.match(urls(await next())[0] ?? '', new RegExp(`http://${host}:8000`))
  }
})

test('a mounted ConfigMap, whose links are swapped, is read once and followed', { timeout: 10_000 }, async (t) => {
  const { folder, next } = await watching(t, {
    'mount/..one/models.yaml': model('a'),
    'mount/..two/models.yaml': model('a', 'http://b:8000'),
  })
  assert.deepEqual(urls(await next()), [])
  await symlink('..one', join(folder, 'mount/..data'))
  await symlink('..data/models.yaml', join(folder, 'mount/models.yaml'))
  assert.deepEqual(urls(await next()), ['a http://a:8000 1'])
  await symlink('..two', join(folder, 'mount/..data_tmp'))
  await rename(join(folder, 'mount/..data_tmp'), join(folder, 'mount/..data'))
  assert.deepEqual(urls(await next()), ['a http://b:8000 2'])
})

test('a broken edit keeps what held and tells file and line; the repair clears it', { timeout: 10_000 }, async (t) => {
  const { folder, next, write } = await watching(t, { 'a.yaml': model('a'), 'b.yaml': model('b') })
  await next()
  await write('a.yaml', model('a', 'nowhere'))
  const broken = await next()
  assert.deepEqual(urls(broken), ['a http://a:8000 1', 'b http://a:8000 1'])
  assert.deepEqual([broken.problems[0]?.file, broken.problems[0]?.line], [join(folder, 'a.yaml'), 4])
  await write('a.yaml', 'spec: [')
  const unreadable = await next()
  assert.deepEqual(urls(unreadable), ['a http://a:8000 1', 'b http://a:8000 1'])
  await write('a.yaml', model('a'))
  const repaired = await next()
  assert.deepEqual(repaired.problems, [])
  assert.deepEqual(urls(repaired), ['a http://a:8000 1', 'b http://a:8000 1'])
})

test('what changes nothing tells nothing', { timeout: 10_000 }, async (t) => {
  const { next, write } = await watching(t, { 'a.yaml': model('a') })
  await next()
  await write('a.yaml', `# a comment\n${model('a')}`)
  await write('readme.md', 'text')
  await write('b.yaml', model('b'))
  assert.deepEqual(urls(await next()), ['a http://a:8000 1', 'b http://a:8000 1'])
})

test('a key from the environment is held as a digest, and never shown', { timeout: 10_000 }, async (t) => {
  const key = 'correct-horse-battery-staple'
  const { next, source } = await watching(t, { 'key.yaml': KEY }, { env: { APP_KEY: key } })
  const { resources } = await next()
  assert.equal(resources.clientKeys.get('default/app')?.entries[0]?.characters, key.length)
  assert.equal(JSON.stringify([...resources.clientKeys]).includes(key), false)
  assert.equal(source.whereIs('Secret default/app', 'data.key')?.line, 4)
})

test('a variable that is not set is told at its line', { timeout: 10_000 }, async (t) => {
  const { next } = await watching(t, { 'key.yaml': KEY })
  const { problems } = await next()
  assert.deepEqual([problems[0]?.line, problems[0]?.path, problems[0]?.object], [4, 'stringData.key', 'Secret default/app'])
})

test('a path that is not there is an error at the start', async (t) => {
  await assert.rejects(watching(t, {}, { path: 'nowhere.yaml' }), { code: 'ENOENT' })
})

test('a file that goes away later is an error, and its return is seen', { timeout: 10_000 }, async (t) => {
  const { folder, next, write } = await watching(t, { 'models.yaml': model('a') }, { path: 'models.yaml' })
  await next()
  await rm(join(folder, 'models.yaml'))
  await assert.rejects(next(), { code: 'ENOENT' })
  await write('models.yaml', model('a', 'http://b:8000'))
  assert.deepEqual(urls(await next()), ['a http://b:8000 2'])
})
