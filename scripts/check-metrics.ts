/**
 * `make promtool-check`: what a running llama-swap says on /metrics, after a few requests of different ends, is what Prometheus reads
 * without complaint. Starts standalone with its simulated engines on free ports, ends it, exits as promtool does.
 */
import { spawnSync } from 'node:child_process'
import { startStandalone } from '../test/support/proxy.ts'
import { fetchTools, PROMTOOL } from './fetch-tools.ts'

const ASKED = [
  { model: 'auto', stream: false },
  { model: 'auto', stream: true },
  { model: 'no-such-model', stream: false },
]

/** The text of /metrics after the requests above. */
async function metricsText(): Promise<string> {
  const llamaSwap = await startStandalone(undefined)
  try {
    for (const asked of ASKED) await ask(llamaSwap.url, asked)
    return await (await fetch(`${llamaSwap.metricsUrl}/metrics`)).text()
  } finally {
    await llamaSwap.close()
  }
}

async function ask(url: string, asked: (typeof ASKED)[number]): Promise<void> {
  const body = JSON.stringify({ ...asked, messages: [{ role: 'user', content: 'Hello' }] })
  const answer = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  await answer.text()
}

await fetchTools((line) => console.log(`fetch-tools: ${line}`))
const text = await metricsText()
const { status, stdout, stderr } = spawnSync(PROMTOOL, ['check', 'metrics'], { input: text, encoding: 'utf8' })
process.stdout.write(stdout + stderr)
const names = new Set(text.match(/^# TYPE \S+/gm))
console.log(`promtool: ${names.size} metrics, ${status === 0 ? 'no complaint' : 'complaints above'}`)
process.exitCode = status ?? 1
