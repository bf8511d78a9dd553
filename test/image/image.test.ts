/** The image that `make image` has built does what it says: `make test-image`. Needs root, for namespaces. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { NODE_FLAGS, OPERATOR_NODE_FLAGS } from '../../scripts/node-flags.ts'
import { eventually } from '../support/eventually.ts'
import { closedPort, listenOn } from '../support/ports.ts'
import { ROOT } from '../support/program.ts'
import { makeTable } from '../support/table.ts'
import { startInside } from './inside.ts'
import { furnish, LAYOUT, type Unpacked, unpackImage } from './unpacked.ts'

const ANSWER = JSON.stringify({
  id: 'a',
  object: 'chat.completion',
  created: 0,
  model: 'small',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
})
const NODE = ['/usr/bin/node', '-e']
let image: Unpacked
before(async () => {
  image = await unpackImage('amd64')
  await furnish(image.root)
})
after(() => image.remove())

/** Runs to its end. */
async function outputOf(args: readonly string[], command?: readonly string[]): Promise<string> {
  const inside = startInside(image, args, command)
  const code = await inside.ended
  assert.equal(code, 0, inside.output())
  return inside.output()
}

test('another build gives the same digests', async () => {
  const into = 'dist/image-again'
  execFileSync(process.execPath, [join(ROOT, 'scripts/image/build.ts'), '--into', into], { cwd: ROOT })
  const again = await readFile(join(ROOT, into, 'oci/index.json'), 'utf8')
  await rm(join(ROOT, into), { recursive: true })
  assert.equal(again, await readFile(join(LAYOUT, 'index.json'), 'utf8'))
})

test('it holds one program, libraries, and no shell; nothing belongs to its user or gives rights', async () => {
  const { root, remove } = await unpackImage('amd64')
  const list = (...what: readonly string[]): readonly string[] =>
    execFileSync('find', ['.', ...what], { cwd: root, encoding: 'utf8' })
      .split('\n')
      .filter((line) => line !== '')
  const programs = list('-type', 'f', '-perm', '/111').filter((path) => !/[.]so[.]\d+$/.test(path))
  assert.deepEqual(programs, ['./usr/bin/node'])
  assert.deepEqual(list('-perm', '/6000'), [])
  assert.deepEqual(list('(', '-not', '-uid', '0', '-o', '-not', '-gid', '0', ')'), [])
  assert.deepEqual(list('-perm', '/002', '-not', '-type', 'l'), ['./tmp'])
  await remove()
})

test('its SBOM is the one beside it, and lists what is in it', async () => {
  const sbom = await readFile(join(image.root, 'usr/share/doc/llama-swap/sbom.spdx.json'), 'utf8')
  assert.equal(sbom, await readFile(join(ROOT, 'dist/image/llama-swap-amd64.spdx.json'), 'utf8'))
  const { packages } = JSON.parse(sbom) as { packages: readonly { name: string; SPDXID: string }[] }
  const names = packages.map(({ name }) => name)
  assert.deepEqual(
    ['node', 'openssl', 'v8', 'libc6', 'undici', 'ws', 'express', '@kubernetes/client-node'].filter((name) => !names.includes(name)),
    [],
  )
  assert.equal(new Set(packages.map(({ SPDXID }) => SPDXID)).size, packages.length)
})

test('every role starts, as nobody, and each with its flags', async () => {
  assert.match(await outputOf(['version']), /^llama-swap \d/)
  assert.match(await outputOf(['proxy', '--help']), /^llama-swap proxy --table FILE/)
  assert.match(await outputOf(['standalone', '--help']), /--config/)
  assert.equal(await outputOf(['operator', '--print-rbac']), sourcesSay(['operator', '--print-rbac']))
  assert.match(
    await outputOf(['console.log(process.getuid(), process.getgid(), String(process.getgroups()))'], NODE),
    /^65532 65532 65532$/,
  )
})

const sourcesSay = (args: readonly string[]): string =>
  execFileSync(process.execPath, [join(ROOT, 'cli/main.ts'), ...args], { encoding: 'utf8' }).trimEnd()

test('nothing can be written, and no shell can be started', async () => {
  const write = `for (const path of ['/app/x', '/tmp/x', '/etc/x', '/usr/bin/node']) try { fs.writeFileSync(path, ''); console.log(path) } catch (error) { if (error.code !== 'EROFS') console.log(path, error.code) }`
  assert.equal(await outputOf([write], NODE), '')
  assert.equal(await outputOf([`child_process.exec('true', (error) => console.log(error.code))`], NODE), 'ENOENT')
})

test('names are looked up, and public certificates are known', async () => {
  assert.equal(await outputOf([`dns.lookup('engine.test', (error, address) => console.log(error ?? address))`], NODE), '127.0.0.1')
  assert.ok(Number(await outputOf(['console.log(tls.rootCertificates.length)'], NODE)) > 100)
})

test('a gateway serves, with the flags of a proxy, and ends at SIGTERM as the first process', async (t) => {
  const engine = createServer((_, response) => response.setHeader('content-type', 'application/json').end(ANSWER))
  const port = await listenOn(engine)
  t.after(async () => {
    engine.close()
    engine.closeAllConnections()
    await once(engine, 'close')
  })
  const table = makeTable({ models: { small: { backends: [{ url: `http://127.0.0.1:${port}` }] } } })
  await writeFile(join(image.mounted, 'table.json'), JSON.stringify(table))
  const gateway = startInside(image, [
    'proxy',
    '--table=/mnt/table.json',
    '--host=127.0.0.1',
    '--port=0',
    '--admin-port=0',
    '--metrics-port=0',
    '--auth=Off',
  ])
  t.after(() => gateway.kill())
  const { inference, metrics } = await gateway.line(({ msg }) => msg === 'listening')
  await eventually(async () => assert.equal((await fetch(`http://127.0.0.1:${String(metrics)}/readyz`)).status, 200))
  const body = JSON.stringify({ model: 'small', messages: [{ role: 'user', content: 'Hello' }] })
  const answer = await fetch(`http://127.0.0.1:${String(inference)}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
  assert.equal(answer.status, 200, await answer.text())
  assert.deepEqual(
    commandLine(gateway.pid()).filter((word) => NODE_FLAGS.includes(word)),
    NODE_FLAGS,
  )
  const status = readFileSync(`/proc/${gateway.pid()}/status`, 'utf8')
  assert.match(status, /^Uid:\t65532\t65532\t65532\t65532$/m)
  assert.match(status, /^NSpid:\t\d+\t1$/m)
  assert.match(status, /^CapEff:\t0+$/m)
  gateway.signal('SIGTERM')
  assert.equal(await gateway.ended, 0, gateway.output())
})

test('an operator runs with the flags of an operator', async (t) => {
  const server = `http://127.0.0.1:${await closedPort()}`
  const cluster = {
    clusters: [{ name: 'a', cluster: { server } }],
    users: [{ name: 'a', user: {} }],
    contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
  }
  await writeFile(
    join(image.mounted, 'kube-config'),
    JSON.stringify({ apiVersion: 'v1', kind: 'Config', ...cluster, 'current-context': 'a' }),
  )
  const ports = ['--push-port=0', '--metrics-port=0', '--admin-port=0']
  const operator = startInside(image, ['operator', '--kubeconfig=/mnt/kube-config', '--namespace=llama-swap', ...ports])
  t.after(() => operator.kill())
  await operator.line(({ level }) => level !== undefined)
  const words = commandLine(operator.pid())
  assert.deepEqual(words.slice(0, OPERATOR_NODE_FLAGS.length + 3), ['/usr/bin/node', ...OPERATOR_NODE_FLAGS, '/app/cli.mjs', 'operator'])
})

const commandLine = (pid: number): readonly string[] =>
  readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    .split('\0')
    .filter((word) => word !== '')

test('an image of another platform is there, with the same program', async () => {
  const other = await unpackImage('arm64')
  const hash = async (of: Unpacked, path: string): Promise<string> =>
    createHash('sha256')
      .update(await readFile(join(of.root, path)))
      .digest('hex')
  for (const path of ['app/start.mjs', 'app/cli.mjs', 'app/proxy.mjs']) assert.equal(await hash(other, path), await hash(image, path))
  const node = await readFile(join(other.root, 'usr/bin/node'))
  assert.equal(node.readUInt16LE(18), 183, 'its processor is AArch64')
  await readFile(join(other.root, 'lib/ld-linux-aarch64.so.1'))
  await other.remove()
})
