import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type TestContext, test } from 'node:test'
import { makeTable } from '../../test/support/table.ts'
import { compileTable } from '../routing-table/compile.ts'
import type { CompiledTable } from '../routing-table/compiled.ts'
import type { RoutingTable } from '../routing-table/v1.ts'
import { AddressPolicy } from './addresses.ts'
import { Pools } from './pools.ts'

const DENY = { private: 'Deny', allow: [], deny: [] } as const
const ALLOW_LOOPBACK = { ...DENY, allow: ['127.0.0.0/8'] } as const

/** An engine on loopback, named "engine.example.com" by a resolver of the test's own. */
async function engine(t: TestContext) {
  const server = createServer((_request, response) => response.end('hello'))
  const sockets: string[] = []
  server.on('connection', ({ remotePort }) => sockets.push(String(remotePort)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  const policy = new AddressPolicy({ allow: [], deny: [] }, (_host, _options, callback) =>
    callback(null, [{ address: '127.0.0.1', family: 4 }]),
  )
  const pools = new Pools(policy)
  t.after(() => pools.destroy())
  const swap = (host: string, addresses?: RoutingTable['addresses']): CompiledTable => {
    const table = makeTable({ models: { a: { backends: [{ url: `http://${host}:${port}` }] } } })
    const compiled = compileTable({ ...table, ...(addresses !== undefined && { addresses }) })
    pools.apply(compiled, policy.apply(compiled.table))
    return compiled
  }
  return { pools, swap, sockets }
}

async function ask(pools: Pools, table: CompiledTable): Promise<string> {
  const [endpoint] = table.endpoints.values()
  assert.ok(endpoint !== undefined)
  try {
    const { body } = await pools.of(endpoint).request({ method: 'GET', path: '/', origin: endpoint.origin })
    return await body.text()
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
}

for (const host of ['engine.example.com', '127.0.0.1']) {
  test(`${host}: a private address is not connected to while the table denies it, and is when it allows it`, async (t) => {
    const { pools, swap, sockets } = await engine(t)
    assert.equal(await ask(pools, swap(host, DENY)), 'EADDRDENIED')
    assert.deepEqual(sockets, [])
    assert.equal(await ask(pools, swap(host, ALLOW_LOOPBACK)), 'hello')
  })

  test(`${host}: after the rules have changed no request goes over a connection from before`, async (t) => {
    const { pools, swap, sockets } = await engine(t)
    assert.equal(await ask(pools, swap(host)), 'hello')
    const before = sockets.length
    assert.equal(await ask(pools, swap(host, DENY)), 'EADDRDENIED')
    assert.equal(sockets.length, before)
  })
}
