import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { listenOn } from '../test/support/ports.ts'
import { UsageError } from './config.ts'
import { explainFailure } from './process.ts'

/** What starting to listen fails with. */
async function listenFailure(port: number, host = '127.0.0.1'): Promise<unknown> {
  const server = createServer()
  server.listen(port, host)
  try {
    await once(server, 'listening')
  } catch (error) {
    return error
  }
  server.close()
  return assert.fail('it listens')
}

function readFailure(path: string): unknown {
  try {
    readFileSync(path)
  } catch (error) {
    return error
  }
  return assert.fail('it can be read')
}

test('a port that is in use: which, and how to choose another', async () => {
  const server = createServer()
  const port = await listenOn(server)
  assert.match(
    explainFailure(await listenFailure(port)),
    new RegExp(`^port ${port} is in use\\. Stop what listens there, or choose another with --port`),
  )
  server.close()
})

test('an address that is none of this machine', async () => {
  assert.equal(explainFailure(await listenFailure(0, '192.0.2.1')), 'the address given by --host is none of this machine.')
})

test('a file that does not exist: which', () => {
  assert.equal(explainFailure(readFailure('/no/such/table.json')), '/no/such/table.json does not exist. Check the path.')
})

test('a folder in place of a file', () => {
  assert.match(explainFailure(readFailure(tmpdir())), /cannot be read \(EISDIR\)\. Check its permissions\.$/)
})

const CODED: Readonly<Record<string, [object, RegExp]>> = {
  'a port that needs more rights': [{ code: 'EACCES', port: 80 }, /^port 80 may not be opened by this user\. Choose one above 1023/],
  'a file that needs more rights': [{ code: 'EACCES', path: '/x' }, /^\/x cannot be read \(EACCES\)\. Check its permissions\.$/],
  'what we do not know is told as it is': [{ code: 'EMFILE' }, /^in its own words$/],
}

for (const [name, [fields, expected]] of Object.entries(CODED)) {
  test(name, () => assert.match(explainFailure(Object.assign(new Error('in its own words'), fields)), expected))
}

test('wrong use is told as it is, and so is what is no error', () => {
  assert.equal(explainFailure(new UsageError('--port must be a number.')), '--port must be a number.')
  assert.equal(explainFailure('thrown text'), 'thrown text')
})
