import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { START } from './start.ts'

const LOADS_FOR_EVER = `console.log('loading'); await new Promise((resolve) => setTimeout(resolve, 60_000))`
const PROCESS = pathToFileURL(join(import.meta.dirname, '../../proxy/process.ts')).href
const SERVES = `
import { runUntilSignal } from '${PROCESS}'
let listener
const start = async () => {
  listener = setInterval(() => undefined, 60_000)
  console.log('started')
}
const close = async () => {
  clearInterval(listener)
  console.log('closed')
}
process.exit(await runUntilSignal({ start, close, logger: { info: () => undefined } }))
`

/** Starts a proxy that is this program, and sends SIGTERM at its first word. */
async function signalled(proxy: string): Promise<{ readonly code: unknown; readonly said: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'llama-swap-start-'))
  writeFileSync(join(folder, 'start.mjs'), START.replaceAll('/app/', `${folder}/`))
  writeFileSync(join(folder, 'proxy.mjs'), proxy)
  const child = spawn(process.execPath, [join(folder, 'start.mjs'), 'proxy'], { stdio: ['ignore', 'pipe', 'inherit'] })
  child.stdout.once('readable', () => child.kill('SIGTERM'))
  const [said, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  rmSync(folder, { recursive: true })
  return { code, said }
}

test('a proxy that is told to end while it is being loaded ends, as the first process of a container too', async () => {
  assert.deepEqual(await signalled(LOADS_FOR_EVER), { code: 0, said: 'loading\n' })
})

test('one that serves ends in good order', async () => {
  assert.deepEqual(await signalled(SERVES), { code: 0, said: 'started\nclosed\n' })
})
