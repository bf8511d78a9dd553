import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeEnd } from './session-end.ts'
import { parseWatchEvent } from './watch-event.ts'

const parse = (event: unknown) => parseWatchEvent('watch of pods', JSON.stringify(event))
const endOf = (line: string) => {
  try {
    parseWatchEvent('watch of pods', line)
  } catch (error) {
    return judgeEnd(error)
  }
  return undefined
}

test('an event gives its object', () => {
  const object = { metadata: { name: 'a' } }
  assert.deepEqual(parse({ type: 'MODIFIED', object }), { type: 'MODIFIED', object })
})

test('a bookmark gives its version, and says when it ends the initial list', () => {
  const bookmark = (annotations?: unknown) => parse({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '7', annotations } } })
  assert.deepEqual(bookmark(), { type: 'BOOKMARK', resourceVersion: '7', endsInitialList: false })
  assert.deepEqual(bookmark({ 'k8s.io/initial-events-end': 'true' }), { type: 'BOOKMARK', resourceVersion: '7', endsInitialList: true })
})

test('an ERROR event of 410 means: list again', () => {
  const line = JSON.stringify({ type: 'ERROR', object: { code: 410, reason: 'Expired', message: 'too old resource version: 1 (2)' } })
  assert.deepEqual(endOf(line), {
    reason: 'expired',
    relist: true,
    status: 410,
    message: 'watch of pods: too old resource version: 1 (2)',
  })
})

test('any other ERROR event too, since nobody knows what it lost', () => {
  const end = endOf(JSON.stringify({ type: 'ERROR', object: { code: 500, message: 'etcd: no leader' } }))
  assert.deepEqual([end?.reason, end?.relist], ['error event', true])
})

test('a line that was cut, or is something else, is a bad line, and is not quoted', () => {
  for (const line of [
    '{"type":"ADDED","object":{"data":"c2Vjc',
    'null',
    '[]',
    '{"type":"ADDED"}',
    '{"type":"NEW","object":{"metadata":{}}}',
    '',
  ]) {
    const end = endOf(line)
    assert.deepEqual([end?.reason, end?.relist], ['bad line', false], line)
    assert.equal(end?.message.includes('c2Vjc'), false)
  }
})
