/** What networks and API servers do to watches; afterwards the source says what the cluster says. Times are with the ground's quick settings. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Cluster } from '../support/control-plane/cluster.ts'
import { sharedControlPlane } from '../support/control-plane/shared.ts'
import { eventually } from '../support/eventually.ts'
import { Direct, modelPath, QUICK, Watched, type WatchedOptions } from './watch-ground.ts'

let plane: Cluster
let direct: Direct
let namespace = ''

before(async () => {
  plane = await sharedControlPlane()
  await plane.installCrds()
  namespace = await plane.namespace()
  direct = new Direct(plane)
  await direct.model(namespace, 'there-from-the-start')
  await direct.model(namespace, 'goes')
})

after(async () => direct?.close())

/** Runs with a source that is in step, and ends it. */
async function watching(options: WatchedOptions, body: (watched: Watched) => Promise<void>): Promise<void> {
  const watched = await Watched.start(plane, { namespaces: [namespace], ...options })
  try {
    await watched.untilEqual()
    await body(watched)
  } finally {
    await watched.close()
  }
}

/** One change of each sort. */
async function change(label: string): Promise<void> {
  await direct.model(namespace, `came-${label}`)
  await direct.model(namespace, 'there-from-the-start', { weight: Math.ceil(Math.random() * 1_000_000) })
  await direct.slice(namespace, `slice-${label}`, 'gpu', '10.1.2.3')
  await direct.model(namespace, 'goes')
  await direct.remove(modelPath(namespace, 'goes'))
  await direct.slice(namespace, `slice-${label}`, 'gpu', '10.1.2.4')
}

test('without faults a change is there within a second, and nothing restarts', async (t) => {
  await watching({}, async (watched) => {
    await change('calm')
    const ms = await watched.untilEqual(1000)
    t.diagnostic(`in step after ${Math.round(ms)} ms`)
    assert.deepEqual(watched.restarts(), [])
  })
})

test('a watch that is cut in the middle of an event goes on before it', async (t) => {
  await watching({}, async (watched) => {
    watched.relay.switches.cutEvents = 3
    // What is cut may come with the next list instead of being cut again: then another change is.
    for (let i = 0; i < 5 && watched.relay.switches.cutEvents > 0; i++) {
      await change(`cut-${i}`)
      t.diagnostic(`in step after ${Math.round(await watched.untilEqual())} ms`)
    }
    assert.equal(watched.relay.switches.cutEvents, 0)
    await eventually(async () => assert.ok(watched.restarts().length >= 3, String(watched.restarts())))
  })
})

test('a watch that has gone silent is given up', async (t) => {
  await watching({ timing: { ...QUICK, censusMs: 60_000 } }, async (watched) => {
    watched.relay.silenceWatches()
    await change('silent')
    t.diagnostic(`in step after ${Math.round(await watched.untilEqual())} ms`)
    assert.ok(watched.restarts().includes('silent'))
  })
})

test('a DELETED that was lost is found by the census', async (t) => {
  await direct.model(namespace, 'goes')
  await watching({ timing: { ...QUICK, silenceMs: 60_000 } }, async (watched) => {
    watched.relay.switches.dropDeletes = 1
    await direct.remove(modelPath(namespace, 'goes'))
    await eventually(async () => assert.equal(watched.relay.switches.dropDeletes, 0))
    // What comes after it makes the watch go on past it, for good.
    await direct.model(namespace, 'after-the-lost')
    t.diagnostic(`in step after ${Math.round(await watched.untilEqual())} ms`)
    assert.deepEqual(watched.restarts(), ['diverged'])
  })
})

test('an object deleted and made anew behind a cut is another object', async () => {
  await watching({}, async (watched) => {
    const before = watched.source.identityOf('LlamaModel', `${namespace}/there-from-the-start`)?.uid
    watched.relay.switches.refuse = true
    watched.relay.cutConnections()
    await direct.remove(modelPath(namespace, 'there-from-the-start'))
    await direct.model(namespace, 'there-from-the-start')
    watched.relay.allOff()
    await watched.untilEqual()
    assert.notEqual(watched.source.identityOf('LlamaModel', `${namespace}/there-from-the-start`)?.uid, before)
  })
})

for (const how of ['expireWatches', 'expireWatchesInBand'] as const) {
  test(`a storm of 410 (${how}) ends in a list, without a storm of ours`, async (t) => {
    await watching({}, async (watched) => {
      watched.relay.switches[how] = 40
      watched.relay.seen.clear()
      watched.relay.cutConnections()
      await change(`gone-${how.toLowerCase()}`)
      t.diagnostic(`in step after ${Math.round(await watched.untilEqual())} ms`)
      assert.equal(watched.relay.switches[how], 0)
      assert.ok((watched.relay.seen.get('watch') ?? 0) < 100, JSON.stringify([...watched.relay.seen]))
    })
  })
}

test('with answers that take 5 s everything still comes, only later', async (t) => {
  await watching({ prepare: ({ switches }) => void Object.assign(switches, { delayMs: 5000 }) }, async (watched) => {
    await change('slow')
    t.diagnostic(`in step after ${Math.round(await watched.untilEqual())} ms`)
    watched.relay.cutConnections()
    await change('slow-again')
    t.diagnostic(`in step after a cut and ${Math.round(await watched.untilEqual())} ms`)
  })
})

test('while the network is parted the last state holds, and afterwards it is caught up with', async (t) => {
  await watching({}, async (watched) => {
    const before = watched.text()
    watched.relay.switches.refuse = true
    watched.relay.cutConnections()
    await change('parted')
    await eventually(async () => assert.ok(watched.restarts().filter((reason) => reason === 'unreachable').length > 30))
    assert.equal(watched.text(), before)
    assert.ok(watched.source.health().some(({ failing }) => failing !== undefined))
    watched.relay.allOff()
    t.diagnostic(`in step after ${Math.round(await watched.untilEqual())} ms`)
    assert.ok(watched.source.health().every(({ failing }) => failing === undefined))
  })
})

test('a network that swallows everything is noticed, and caught up with', async (t) => {
  await watching({}, async (watched) => {
    watched.relay.switches.swallow = true
    await change('swallowed')
    await eventually(async () => assert.ok(watched.restarts().includes('silent')))
    watched.relay.allOff()
    watched.relay.cutConnections()
    t.diagnostic(`in step after ${Math.round(await watched.untilEqual())} ms`)
  })
})

test('a server that cannot stream lists is asked for pages', async () => {
  for (let at = 0; at < 600; at += 50) {
    await Promise.all(
      Array.from({ length: 50 }, async (_, index) => direct.slice(namespace, `s-${at + index}`, `svc-${at + index}`, '10.2.0.1')),
    )
  }
  await watching({ prepare: ({ switches }) => void Object.assign(switches, { refuseStreams: true }) }, async (watched) => {
    assert.ok(watched.records.some((record) => record.what === 'list' && record.how === 'paged' && record.objects >= 600))
    await change('paged')
    await watched.untilEqual(2000)
  })
})
