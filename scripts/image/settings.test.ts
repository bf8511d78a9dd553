import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { NODE_FLAGS, OPERATOR_NODE_FLAGS } from '../node-flags.ts'
import { lockedNode } from './fetch.ts'
import { NAMES } from './parts.ts'
import { COMMAND, ENVIRONMENT, USER, WORKING_DIR } from './settings.ts'
import { ENTRYPOINT, START } from './start.ts'

test('the Containerfile runs the image as `make image` does', () => {
  const text = readFileSync(join(import.meta.dirname, '../../Containerfile'), 'utf8')
  const after = (word: string): string | undefined => new RegExp(`^${word} (.*)$`, 'm').exec(text.slice(text.indexOf('FROM scratch')))?.[1]
  assert.equal(after('USER'), USER)
  assert.deepEqual(JSON.parse(after('ENTRYPOINT') ?? ''), ENTRYPOINT)
  assert.deepEqual(JSON.parse(after('CMD') ?? ''), COMMAND)
  assert.equal(after('WORKDIR'), WORKING_DIR)
  assert.deepEqual(
    after('ENV')?.split(' '),
    Object.entries(ENVIRONMENT).map((pair) => pair.join('=')),
  )
  assert.ok(text.includes(`node:${lockedNode(NAMES['linux/amd64']).version}-`), 'it is built with the Node that goes into it')
})

test('both platforms have the same Node', () => {
  assert.equal(lockedNode(NAMES['linux/amd64']).version, lockedNode(NAMES['linux/arm64']).version)
})

test('proxies start with their flags, operators with theirs', () => {
  assert.deepEqual(
    ENTRYPOINT.filter((word) => NODE_FLAGS.includes(word)),
    NODE_FLAGS,
  )
  assert.deepEqual(
    OPERATOR_NODE_FLAGS.filter((flag) => !START.includes(`'${flag}'`)),
    [],
  )
})
