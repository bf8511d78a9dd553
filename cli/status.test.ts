import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startProgram } from '../test/support/program.ts'

/** Answers by path; a path that is not there is 404. As much of an API server and of an admin port as the commands ask. */
async function serverOf(t: TestContext, answers: Readonly<Record<string, unknown>>): Promise<string> {
  const server = createServer((request, response) => {
    const body = answers[new URL(request.url ?? '', 'http://a').pathname]
    response.statusCode = body === undefined ? 404 : 200
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body ?? { kind: 'Status', code: 404, message: 'not here' }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const address: AddressInfo | string | null = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return `http://127.0.0.1:${address.port}`
}

function kubeconfig(t: TestContext, server: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'status-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const context = { name: 'a', context: { cluster: 'a', user: 'a' } }
  const config = {
    clusters: [{ name: 'a', cluster: { server } }],
    users: [{ name: 'a', user: {} }],
    contexts: [context],
    'current-context': 'a',
  }
  writeFileSync(join(folder, 'config'), JSON.stringify({ apiVersion: 'v1', kind: 'Config', ...config }))
  return join(folder, 'config')
}

async function run(...args: readonly string[]): Promise<{ code: number; output: string }> {
  const program = startProgram({ file: 'cli/main.ts', args })
  const code = await program.ended
  return { code, output: program.output() }
}

const OURS = '/apis/llamaswap.dev/v1alpha1'
const STATE = { install: 'here/op', identity: 'op-0', leads: true, epoch: 1, proxies: { Gateway: 1 }, endpoints: [], usage: {} }
const ready = (status: string) => ({
  metadata: { namespace: 'team', name: 'llama', generation: 1 },
  status: { observedGeneration: 1, conditions: [{ type: 'Ready', status, reason: 'Ready', message: '' }] },
})
const cluster = (status: string): Readonly<Record<string, unknown>> => ({
  [`${OURS}/llamamodels`]: { metadata: { resourceVersion: '1' }, items: [ready(status)] },
  [`${OURS}/routingpolicies`]: { metadata: { resourceVersion: '1' }, items: [] },
  [`${OURS}/namespaces/empty/llamamodels`]: { metadata: { resourceVersion: '1' }, items: [] },
  [`${OURS}/namespaces/empty/routingpolicies`]: { metadata: { resourceVersion: '1' }, items: [] },
})
const NOBODY = 'http://127.0.0.1:1'

test('status: 0 when all is well, 1 when an object is not Ready', async (t) => {
  const admin = await serverOf(t, { '/debug/state': STATE })
  const well = await run('status', '--kubeconfig', kubeconfig(t, await serverOf(t, cluster('True'))), '--operator', admin)
  assert.deepEqual([well.code, well.output.includes('Ready: 1 object, all.')], [0, true], well.output)
  const unwell = await run('status', '--kubeconfig', kubeconfig(t, await serverOf(t, cluster('False'))), '--operator', admin)
  assert.deepEqual([unwell.code, unwell.output.includes('Not Ready: 1 of 1 object.')], [1, true], unwell.output)
})

test('status --namespace asks for one namespace, and --json prints values', async (t) => {
  const admin = await serverOf(t, { '/debug/state': STATE })
  const config = kubeconfig(t, await serverOf(t, cluster('False')))
  const { code, output } = await run('status', '--json', '--namespace', 'empty', '--kubeconfig', config, '--operator', admin)
  assert.equal(code, 0, output)
  assert.deepEqual(JSON.parse(output), {
    well: true,
    install: 'here/op',
    leader: 'op-0, epoch 1',
    proxies: '1 gateway, 0 sidecars',
    objects: [],
    leftOut: [],
    problems: [],
  })
})

test('status without its operator still shows the objects', async (t) => {
  const config = kubeconfig(t, await serverOf(t, cluster('True')))
  const { code, output } = await run('status', '--kubeconfig', config, '--operator', NOBODY)
  assert.equal(code, 1, output)
  assert.match(output, /^Leader +unknown: there is no such Lease/m)
  assert.match(output, /^team\/llama +True /m)
})

test('status: 2 without a cluster, without the CRDs, or with wrong flags', async (t) => {
  const unreachable = await run('status', '--kubeconfig', kubeconfig(t, NOBODY))
  assert.deepEqual([unreachable.code, unreachable.output.includes('the cluster cannot be asked')], [2, true], unreachable.output)
  const bare = await run('status', '--kubeconfig', kubeconfig(t, await serverOf(t, {})))
  assert.deepEqual([bare.code, bare.output.includes('install the CRDs')], [2, true], bare.output)
  assert.equal((await run('status', '--colour')).code, 2)
})

test('top: 1 at a standby, which names the leader; 2 where no operator answers', async (t) => {
  const standby = await run('top', '--operator', await serverOf(t, { '/debug/state': { ...STATE, leads: false, leader: 'op-1' } }))
  assert.deepEqual([standby.code, standby.output.includes('Ask the leader, op-1.')], [1, true], standby.output)
  const nobody = await run('top', '--operator', NOBODY)
  assert.deepEqual([nobody.code, nobody.output.includes('kubectl port-forward')], [2, true], nobody.output)
})
