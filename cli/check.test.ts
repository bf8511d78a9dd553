import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { check } from './check.ts'

const model = (name: string): string =>
  `apiVersion: llamaswap.dev/v1alpha1\nkind: LlamaModel\nmetadata: {name: ${name}}\nspec:\n  backends:\n  - {name: a, url: "http://a"}\n`
const BROKEN = model('broken').replace('url', 'ulr')
const SECRET = `apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\nstringData: {key: "\${NOT_SET}"}\n`

/** Writes the files, checks `paths` among them, and answers with the folder's name cut off. */
async function run(files: Readonly<Record<string, string>>, paths: readonly string[]): Promise<{ code: number; lines: string[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'check-'))
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(join(folder, path), text)
    }
    const lines: string[] = []
    const code = await check(
      paths.map((path) => join(folder, path)),
      (line) => lines.push(line.replaceAll(`${folder}/`, '')),
    )
    return { code, lines }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('what is right is counted in one line', async () => {
  const files = { 'a.yaml': `${model('a')}---\n${model('b')}`, 'deep/er/c.yml': SECRET, 'deep/notes.txt': 'not: [yaml' }
  assert.deepEqual(await run(files, ['a.yaml', 'deep']), { code: 0, lines: ['nothing wrong in 2 files: 2 LlamaModels, 1 Secret'] })
})

test('a file that is named is read whatever its ending', async () => {
  assert.deepEqual(await run({ 'model.txt': model('a') }, ['model.txt']), { code: 0, lines: ['nothing wrong in 1 file: 1 LlamaModel'] })
})

test('a file that is named twice is read once', async () => {
  assert.equal((await run({ 'x/a.yaml': model('a') }, ['x/a.yaml', 'x'])).code, 0)
})

test('every mistake has a line, and the exit code is 1', async () => {
  const { code, lines } = await run({ 'x/a.yaml': `${model('a')}---\n${BROKEN}`, 'x/b.yaml': 'a: [\n' }, ['x'])
  assert.equal(code, 1)
  assert.deepEqual(lines.slice(0, 1), ['x/a.yaml:13: spec.backends[0].ulr: unknown field "spec.backends[0].ulr", did you mean "url"?'])
  assert.match(lines[1] ?? '', /^x\/b\.yaml:\d+: not valid YAML: /)
})

test('an object that two files define is told with both places', async () => {
  const { code, lines } = await run({ 'x/a.yaml': model('a'), 'x/b.yaml': model('a') }, ['x'])
  assert.equal(code, 1)
  assert.match(lines.join('\n'), /^x\/b\.yaml:3: metadata\.name: LlamaModel default\/a is defined in x\/a\.yaml:3 already/)
})

test('a file that cannot be read makes it 2, and the others are checked all the same', async () => {
  const { code, lines } = await run({ 'x/a.yaml': BROKEN }, ['x/none.yaml', 'x'])
  assert.equal(code, 2)
  assert.match(lines[0] ?? '', /^x\/none\.yaml: .*no such file/)
  assert.equal(lines.length, 2)
})

test('a folder without YAML makes it 2', async () => {
  assert.deepEqual(await run({ 'x/readme.md': '' }, ['x']), { code: 2, lines: ['x: there is no .yaml or .yml file'] })
})
