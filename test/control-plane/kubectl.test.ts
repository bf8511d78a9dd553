/**
 * What users see of our kinds in kubectl. A case is a file of cases/: its first line is a command, the rest what kubectl answers, with its
 * exit code if that is not 0. `GOLDEN=write` writes the answers instead of comparing them; it is refused in CI. The commands look at
 * cases/objects.yaml. Ages are left out of the answers.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { loadAll } from 'js-yaml'
import { isFields } from '../../operator/validate/problem.ts'
import type { Cluster } from '../support/control-plane/cluster.ts'
import type { Ended } from '../support/control-plane/kubectl.ts'
import { sharedControlPlane } from '../support/control-plane/shared.ts'
import { eventually } from '../support/eventually.ts'
import { ROOT } from '../support/program.ts'

const FOLDER = join(import.meta.dirname, 'cases')
const WRITE = process.env['GOLDEN'] === 'write'
/** "$ kubectl apply -f - < examples/model.yaml": arguments, and a file for standard input if there is one. */
const COMMAND = /^\$ kubectl ([^<\n]+?)(?: < (\S+))?\n/
const CONDITION_WITHIN_MS = 20_000

let plane: Cluster
let namespace: string

before(async () => {
  if (WRITE && process.env['CI'] !== undefined) throw new Error('GOLDEN=write is for people: CI only compares')
  plane = await sharedControlPlane()
  await plane.installCrds()
  namespace = await plane.namespace()
  for (const object of loadAll(readFileSync(join(FOLDER, 'objects.yaml'), 'utf8'))) await make(object)
})

async function make(object: unknown): Promise<void> {
  assert.ok(isFields(object))
  const { status, ...wanted } = object
  const path = await plane.pathOf(wanted, namespace)
  await plane.apply(wanted, namespace)
  if (status !== undefined) await plane.ask('PATCH', `${path}/status`, { status })
}

const cases = readdirSync(FOLDER).filter((file) => file.endsWith('.txt'))

for (const file of cases) {
  test(file.slice(0, -'.txt'.length).replaceAll('-', ' '), async () => {
    const path = join(FOLDER, file)
    const text = readFileSync(path, 'utf8')
    const [line, args, stdinFile] = COMMAND.exec(text) ?? assert.fail(`line 1 of ${file} must be "$ kubectl …"`)
    const said = `${line}${transcript(await kubectl((args ?? '').split(' '), stdinFile))}`
    if (WRITE) writeFileSync(path, said)
    else assert.equal(said, text, 'GOLDEN=write make test-control-plane rewrites the answers')
  })
}

test('there are cases, and nothing else beside them', () => {
  assert.ok(cases.length > 0)
  assert.deepEqual(
    readdirSync(FOLDER).filter((file) => !cases.includes(file)),
    ['objects.yaml'],
  )
})

/** What `explain` reads of a new CRD comes a moment after its objects can be made. */
async function kubectl(args: readonly string[], stdinFile: string | undefined): Promise<Ended> {
  const stdin = stdinFile === undefined ? {} : { stdin: readFileSync(join(ROOT, stdinFile), 'utf8') }
  const once = (): Promise<Ended> => plane.kubectl(['--namespace', namespace, ...args], stdin)
  if (args[0] !== 'explain') return once()
  return eventually(async () => {
    const ended = await once()
    assert.equal(ended.code, 0, ended.stderr)
    return ended
  }, CONDITION_WITHIN_MS)
}

function transcript({ stdout, stderr, code }: Ended): string {
  const said = `${stdout}${stderr}${code === 0 ? '' : `[exit code ${code}]\n`}`
  return said.replaceAll(namespace, 'NAMESPACE').replaceAll(/(?<= )\d+[smh](\d+s)?$/gm, 'AGE')
}
