/** docs/operations.md on a real API server: what it says to apply is taken, in a namespace that allows only restricted pods, without a warning. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import type { Cluster } from '../support/control-plane/cluster.ts'
import { sharedControlPlane } from '../support/control-plane/shared.ts'
import { ROOT } from '../support/program.ts'

const RESTRICTED = { 'pod-security.kubernetes.io/enforce': 'restricted', 'pod-security.kubernetes.io/warn': 'restricted' }

let plane: Cluster
let namespace: string
before(async () => {
  plane = await sharedControlPlane()
  namespace = await plane.namespace(RESTRICTED)
})

async function apply(manifests: string): Promise<string> {
  const { stdout, stderr, code } = await plane.kubectl(['apply', '-f', '-'], { stdin: manifests })
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  return stdout
}

test('the CRDs, the rights and the manifests are applied as the page says, twice', async () => {
  const [, manifests = ''] = /```yaml\n(apiVersion: .*?)```/s.exec(readFileSync(join(ROOT, 'docs/operations.md'), 'utf8')) ?? []
  const here = manifests.replaceAll('namespace: llama-swap}', `namespace: ${namespace}}`)
  const operator = ['operator', '--print-rbac', '--namespace', namespace, '--namespaces', namespace]
  const rights = execFileSync(process.execPath, [join(ROOT, 'cli/main.ts'), ...operator], { encoding: 'utf8' })
  await plane.installCrds()
  for (const outcome of ['created', 'unchanged']) {
    const lines = `${await apply(rights)}${await apply(here)}`.trim().split('\n')
    assert.ok(lines.length >= 10)
    assert.deepEqual(
      lines.filter((line) => !line.endsWith(outcome)),
      [],
    )
  }
})
