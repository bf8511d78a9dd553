import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { GatewayFinder } from './gateway-finder.ts'
import type { GatewayAddress } from './visible.ts'

const URL_OF_GATEWAY = 'http://llama-swap.home.svc:8080'

/** Answers in turn, the last one again and again. `looked`: resolves with the number of look-ups once there are so many. */
function find(t: TestContext, url: string, answers: readonly (readonly string[] | Error)[]) {
  const found: GatewayAddress[] = []
  const hosts: string[] = []
  const looks = new EventTarget()
  const finder = new GatewayFinder({
    url,
    everyMs: 1,
    onFound: (gateway) => found.push(gateway),
    resolve: async (host) => {
      const answer = answers[Math.min(hosts.length, answers.length - 1)] ?? []
      hosts.push(host)
      looks.dispatchEvent(new Event('look'))
      if (answer instanceof Error) throw answer
      return answer
    },
  })
  t.after(() => finder.close())
  const looked = async (times: number): Promise<void> => {
    while (hosts.length < times) await once(looks, 'look')
  }
  finder.start()
  return { found, hosts, looked }
}

test("a Service's addresses are told once, in order, and again when they are others", async (t) => {
  const { found, hosts, looked } = find(t, URL_OF_GATEWAY, [['10.0.0.2', '10.0.0.1'], ['10.0.0.1', '10.0.0.2'], ['10.0.0.3']])
  await looked(6)
  assert.equal(hosts[0], 'llama-swap.home.svc')
  assert.deepEqual(found, [
    { url: URL_OF_GATEWAY, addresses: ['10.0.0.1', '10.0.0.2'] },
    { url: URL_OF_GATEWAY, addresses: ['10.0.0.3'] },
  ])
})

test('a name that cannot be resolved is tried again, and changes nothing', async (t) => {
  const { found, looked } = find(t, URL_OF_GATEWAY, [new Error('no such name'), ['10.0.0.1'], new Error('no such name'), [], ['10.0.0.1']])
  await looked(7)
  assert.deepEqual(found, [{ url: URL_OF_GATEWAY, addresses: ['10.0.0.1'] }])
})

test('an address in the URL is looked up by nobody', (t) => {
  for (const url of ['http://10.0.0.1:8080', 'http://[fd00::1]']) assert.deepEqual(find(t, url, []).hosts, [])
})
