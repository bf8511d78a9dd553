/** Faults that take their time, with the settings that are in use: whatever is lost, the source is in step within 60 s. Each has a relay of its own. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { REFLECTOR_TIMING } from '../../operator/watch/reflector.ts'
import type { Cluster } from '../support/control-plane/cluster.ts'
import { sharedControlPlane } from '../support/control-plane/shared.ts'
import { eventually } from '../support/eventually.ts'
import { Direct, modelPath, Watched } from './watch-ground.ts'

const WITHIN_MS = 60_000

let plane: Cluster
let direct: Direct

before(async () => {
  plane = await sharedControlPlane()
  await plane.installCrds()
  direct = new Direct(plane)
})

after(async () => direct?.close())

/** Only one namespace each, so that they do not disturb one another. */
async function watching(body: (watched: Watched, namespace: string) => Promise<void>): Promise<void> {
  const namespace = await plane.namespace()
  await direct.model(namespace, 'goes')
  const watched = await Watched.start(plane, { namespaces: [namespace], timing: REFLECTOR_TIMING })
  try {
    await watched.untilEqual()
    await body(watched, namespace)
  } finally {
    await watched.close()
  }
}

suite('within a minute', { concurrency: true }, () => {
  test('watches that have gone silent', async (t) => {
    await watching(async (watched, namespace) => {
      watched.relay.silenceWatches()
      await direct.model(namespace, 'unheard')
      t.diagnostic(`in step after ${Math.round(await watched.untilEqual(WITHIN_MS))} ms`)
      assert.ok(watched.restarts().includes('diverged'))
    })
  })

  test('a DELETED that was lost', async (t) => {
    await watching(async (watched, namespace) => {
      watched.relay.switches.dropDeletes = 1
      await direct.remove(modelPath(namespace, 'goes'))
      await eventually(async () => assert.equal(watched.relay.switches.dropDeletes, 0))
      await direct.model(namespace, 'after-the-lost')
      t.diagnostic(`in step after ${Math.round(await watched.untilEqual(WITHIN_MS))} ms`)
      assert.deepEqual(watched.restarts(), ['diverged'])
    })
  })

  test('a minute of 429 with Retry-After: few requests, and then all is well', async (t) => {
    await watching(async (watched, namespace) => {
      watched.relay.switches.throttleSeconds = 2
      watched.relay.cutConnections()
      watched.relay.seen.clear()
      await direct.model(namespace, 'unheard')
      await sleep(60_000)
      const requests = [...watched.relay.seen.values()].reduce((sum, count) => sum + count, 0)
      t.diagnostic(`${requests} requests in the minute`)
      // Six watches, each at most every 2 s, and the issuer's keys.
      assert.ok(requests < 7 * 31, `${requests} requests`)
      assert.ok(watched.restarts().includes('throttled'))
      watched.relay.allOff()
      t.diagnostic(`in step after ${Math.round(await watched.untilEqual(WITHIN_MS))} ms`)
    })
  })
})
