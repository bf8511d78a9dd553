/** What happens to the proxy itself while requests are in every phase of their life: none of them may notice. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { startProxy } from '../../support/proxy.ts'
import { type Ground, isWhole, phases } from './phases.ts'

let ground: Ground

beforeEach(async () => {
  ground = await phases()
})
afterEach(() => ground.close())

test('a new table in every phase: what was sent keeps the one it began with, what waits goes by the new one; all have their whole answer', async (t) => {
  const proxy = await startProxy(ground.table)
  t.after(() => proxy.close())
  const begun = await ground.begin(proxy)
  const queued = begun.filter(({ name }) => name === 'queued').at(-1)
  assert.ok(queued !== undefined)
  assert.equal((await proxy.push(await ground.next()))['msg'], 'routing table taken')
  isWhole(queued, await queued.client.got)
  ground.release()
  for (const one of begun) isWhole(one, await one.client.got)
})

test('a table that is refused in every phase: nothing changes', async (t) => {
  const proxy = await startProxy(ground.table)
  t.after(() => proxy.close())
  const begun = await ground.begin(proxy)
  assert.match(String((await proxy.push('{"version":1'))['msg']), /refused/)
  ground.release()
  for (const one of begun) isWhole(one, await one.client.got)
})

test('SIGTERM in every phase: every request has its whole answer, then the process ends with 0', async (t) => {
  const proxy = await startProxy(ground.table)
  t.after(() => proxy.close())
  const begun = await ground.begin(proxy)
  proxy.program.signal('SIGTERM')
  await proxy.program.line(({ msg }) => msg === 'shutting down')
  ground.release()
  for (const one of begun) isWhole(one, await one.client.got)
  assert.equal(await proxy.program.ended, 0)
  assert.equal(proxy.program.lines().filter(({ msg, status }) => msg === 'request' && status === 200).length, begun.length)
})

test('the client leaves in every phase: everything is given back, and each line says 499', async (t) => {
  const proxy = await startProxy(ground.table)
  t.after(() => proxy.close())
  const begun = await ground.begin(proxy)
  for (const { client } of begun) client.leave()
  for (const { client } of begun) {
    const line = await proxy.accessLine(String(client.request.getHeader('x-request-id')))
    assert.deepEqual([line['status'], line['error_type']], [499, 'caller_disconnected'], JSON.stringify(line))
  }
  const seen = await Promise.all(begun.map(({ backend }) => backend.seen()))
  assert.deepEqual(
    seen.flat().filter(({ doneAtMs, goneAtMs }) => doneAtMs === undefined && goneAtMs === undefined),
    [],
    'every upstream was left',
  )
})
