/** HTTPS at the inference port: everything as without it, and a certificate that is replaced while it serves. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { Agent, request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { WebSocket, WebSocketServer } from 'ws'
import { ask, asking } from '../support/client.ts'
import { makeServerCertificate, type ServerCertificate } from '../support/control-plane/relay-certificate.ts'
import { isError } from '../support/errors.ts'
import { eventually } from '../support/eventually.ts'
import { startKeptClients } from '../support/kept-clients.ts'
import { chunk, END, pause, streamHead, wait, whole } from '../support/model-server/answers.ts'
import { type ModelServer, startModelServer } from '../support/model-server/model-server.ts'
import { startProgram } from '../support/program.ts'
import { type RunningProxy, startProxy, startStandalone } from '../support/proxy.ts'
import { rawClient, rawRequest } from '../support/raw.ts'
import { ROUTES, WORDS } from '../support/routes.ts'
import { makeTable, oneModel } from '../support/table.ts'
import { startTlsTunnel, type TlsTunnel } from '../support/tls-tunnel.ts'

const { chat } = ROUTES
const { begin, words, finish, sentinel } = chat.events(WORDS)
const EVENTS = [...begin, ...words, ...finish, ...sentinel]
const isWhole = (body: string): boolean => chat.textOfEvents(body) === WORDS.join('') && body.endsWith('data: [DONE]\n\n')

let server: ModelServer
let first: ServerCertificate
let second: ServerCertificate
before(async () => {
  server = startModelServer()
  first = await makeServerCertificate()
  second = await makeServerCertificate(Date.now() + 48 * 3_600_000)
})
after(() => server.close())

type PairText = Pick<ServerCertificate, 'cert' | 'key'>

/** A Secret as a kubelet mounts it: files that lead through "..data", a link that is replaced. */
interface MountedSecret {
  readonly args: readonly string[]
  replace(pair: PairText): Promise<void>
}

async function mountSecret(t: TestContext, pair: PairText): Promise<MountedSecret> {
  const folder = await mkdtemp(join(tmpdir(), 'llama-swap-test-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  let version = 0
  const replace = async ({ cert, key }: PairText): Promise<void> => {
    const name = `..version-${++version}`
    await mkdir(join(folder, name))
    await writeFile(join(folder, name, 'tls.crt'), cert)
    await writeFile(join(folder, name, 'tls.key'), key)
    await symlink(name, join(folder, '..data_tmp'))
    await rename(join(folder, '..data_tmp'), join(folder, '..data'))
  }
  await replace(pair)
  for (const file of ['tls.crt', 'tls.key']) await symlink(join('..data', file), join(folder, file))
  return { args: ['--tls-cert', join(folder, 'tls.crt'), '--tls-key', join(folder, 'tls.key')], replace }
}

async function tunnel(t: TestContext, { port }: RunningProxy, options: ConnectionOptions): Promise<TlsTunnel> {
  const open = await startTlsTunnel(port, options)
  t.after(() => open.close())
  return open
}

/** Fingerprint and protocol of a new connection that trusts `ca`; rejects as the handshake does. */
async function shake({ port }: RunningProxy, options: ConnectionOptions): Promise<{ shown: string; protocol: string | null }> {
  const socket: TLSSocket = connect({ port, host: '127.0.0.1', ...options })
  await once(socket, 'secureConnect')
  const shown = socket.getPeerX509Certificate()?.fingerprint256 ?? ''
  const protocol = socket.getProtocol()
  socket.destroy()
  return { shown, protocol }
}

const fingerprint = ({ cert }: PairText): string => new X509Certificate(cert).fingerprint256

async function metric({ metricsUrl }: RunningProxy, series: string): Promise<number | undefined> {
  const page = await (await fetch(`${metricsUrl}/metrics`)).text()
  const line = page.split('\n').find((each) => each.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.slice(series.length + 1))
}

const waitForMetric = (proxy: RunningProxy, series: string, value: number): Promise<void> =>
  eventually(async () => assert.equal(await metric(proxy, series), value))

const expiryOf = ({ cert }: PairText): number => new X509Certificate(cert).validToDate.getTime() / 1000
const EXPIRY = 'llama_swap_tls_certificate_expiry_seconds'
const APPLIED = 'llama_swap_tls_reloads_total{result="applied"}'
const REFUSED = 'llama_swap_tls_reloads_total{result="refused"}'

async function overTls(t: TestContext, url: string, args: readonly string[] = []): Promise<{ proxy: RunningProxy; secret: MountedSecret }> {
  const secret = await mountSecret(t, first)
  const proxy = await startProxy(oneModel('m', url), { args: [...secret.args, ...args] })
  t.after(() => proxy.close())
  return { proxy, secret }
}

test('answers and streams are whole, with TLS 1.2 and 1.3, not with 1.1', async (t) => {
  const backend = await server.open(whole(chat.answer(['well'])), [streamHead(), ...EVENTS.map(chunk), END])
  const { proxy } = await overTls(t, backend.url)
  const two = await tunnel(t, proxy, { ca: first.ca, maxVersion: 'TLSv1.2' })
  assert.equal((await ask(two.url, { body: chat.request('m', false) })).status, 200)
  const three = await tunnel(t, proxy, { ca: first.ca, minVersion: 'TLSv1.3' })
  const got = await ask(three.url, { body: chat.request('m', true) })
  assert.ok(got.whole && isWhole(got.body))
  await assert.rejects(shake(proxy, { ca: first.ca, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }))
  await waitForMetric(proxy, 'llama_swap_tls_failed_handshakes_total{reason="version"}', 1)
  assert.equal(await metric(proxy, EXPIRY), expiryOf(first))
})

test('what is refused is refused as without TLS', async (t) => {
  const { proxy } = await overTls(t, 'http://127.0.0.1:9')
  const { url, port } = await tunnel(t, proxy, { ca: first.ca })
  isError(await ask(url, { body: chat.request('nope', false) }), 'model_not_found')
  isError(await ask(url, { method: 'GET', path: '/nothing' }), 'not_found')
  const long = rawClient(port)
  long.send(`GET / HTTP/1.1\r\nhost: a\r\nx: ${'a'.repeat(70_000)}\r\n\r\n`)
  assert.match((await long.closed()).text, /^HTTP\/1.1 431 .*"code":"headers_too_large"/s)
  const wrong = rawClient(port)
  wrong.send('no HTTP\r\n\r\n')
  assert.match((await wrong.closed()).text, /^HTTP\/1.1 400 .*"code":"invalid_value"/s)
})

test('plain HTTP gets a closed connection and is counted; so is a client that leaves', async (t) => {
  const { proxy } = await overTls(t, 'http://127.0.0.1:9')
  const plain = rawClient(proxy.port)
  plain.send(rawRequest('/v1/chat/completions', chat.request('m', false)))
  assert.equal((await plain.closed()).text.includes('HTTP/'), false)
  await waitForMetric(proxy, 'llama_swap_tls_failed_handshakes_total{reason="plain_http"}', 1)
  const silent = rawClient(proxy.port)
  await once(silent.socket, 'connect')
  silent.destroy()
  await waitForMetric(proxy, 'llama_swap_tls_failed_handshakes_total{reason="left"}', 1)
})

test('WebSockets of a pass-through', async (t) => {
  const engine = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  t.after(() => engine.close())
  await once(engine, 'listening')
  engine.on('connection', (socket) => socket.on('message', (bytes) => socket.send(bytes)))
  const address = engine.address()
  const url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  const { args } = await mountSecret(t, first)
  const table = makeTable({ models: { m: { passthrough: { enabled: true, forwardAuth: false }, backends: [{ url }] } } })
  const proxy = await startProxy(table, { args })
  t.after(() => proxy.close())
  const socket = new WebSocket(`wss://127.0.0.1:${proxy.port}/upstream/m/echo`, { ca: first.ca })
  await once(socket, 'open')
  socket.send('hello')
  assert.equal(String((await once(socket, 'message'))[0]), 'hello')
  socket.close()
  await once(socket, 'close')
})

test('a new certificate: new connections see it, streams under way are whole', async (t) => {
  const backend = await server.open([streamHead(), ...EVENTS.slice(0, 20).map(chunk), wait('on'), ...EVENTS.slice(20).map(chunk), END])
  const { proxy, secret } = await overTls(t, backend.url)
  const { url } = await tunnel(t, proxy, { ca: first.ca })
  const client = asking(url, { body: chat.request('m', true) })
  await client.until((body) => body.includes('w10 '))
  await secret.replace(second)
  const line = await proxy.program.line(({ msg }) => msg === 'new certificate in use')
  assert.equal(line['expires'], new Date(expiryOf(second) * 1000).toISOString())
  assert.equal((await shake(proxy, { ca: second.ca })).shown, fingerprint(second))
  await assert.rejects(shake(proxy, { ca: first.ca }))
  assert.equal(await metric(proxy, EXPIRY), expiryOf(second))
  assert.equal(await metric(proxy, APPLIED), 1)
  assert.equal(await metric(proxy, REFUSED), 0)
  backend.go('on')
  const got = await client.got
  assert.ok(got.whole && isWhole(got.body))
})

test('a bad pair leaves the last good one in use, is told once, and the next good one is taken', async (t) => {
  const { proxy, secret } = await overTls(t, 'http://127.0.0.1:9')
  const expired = await makeServerCertificate(Date.now() - 60_000)
  const bad: readonly [PairText, RegExp][] = [
    [{ cert: second.cert, key: first.key }, /is not that of the certificate/],
    [{ cert: 'nothing', key: second.key }, /is no certificate in PEM/],
    [{ cert: second.cert, key: '' }, /is no private key in PEM/],
    [expired, /ran out on/],
  ]
  for (const [index, [pair, says]] of bad.entries()) {
    await secret.replace(pair)
    await waitForMetric(proxy, REFUSED, index + 1)
    assert.equal((await shake(proxy, { ca: first.ca })).shown, fingerprint(first))
    await proxy.program.line(
      ({ msg, level, reason }) =>
        msg === 'new certificate refused; the last good one stays' && level === 'error' && says.test(String(reason)),
    )
  }
  assert.equal(await metric(proxy, EXPIRY), expiryOf(first))
  await secret.replace(second)
  await waitForMetric(proxy, APPLIED, 1)
  assert.equal(await metric(proxy, REFUSED), bad.length)
  assert.equal((await shake(proxy, { ca: second.ca })).shown, fingerprint(second))
})

test('certificates change and the proxy ends under streams on kept connections: none fails, none is cut', async (t) => {
  const backend = await server.open([streamHead(), ...EVENTS.flatMap((text) => [chunk(text), pause(10)]), END])
  const { proxy, secret } = await overTls(t, backend.url, ['--drain-delay', '2s', '--shutdown-grace', '20s'])
  const clients = startKeptClients(t, {
    agents: Array.from({ length: 20 }, () => new Agent({ keepAlive: true, maxSockets: 1, ca: [first.ca, second.ca] })),
    url: `https://127.0.0.1:${proxy.port}/v1/chat/completions`,
    body: JSON.stringify(chat.request('m', true)),
    isWhole,
    send: httpsRequest,
  })
  await eventually(async () => assert.ok(clients.counts().whole >= 20))
  await secret.replace(second)
  await waitForMetric(proxy, APPLIED, 1)
  await eventually(async () => assert.ok(clients.counts().reused >= 20))
  proxy.program.signal('SIGTERM')
  await proxy.program.line(({ msg }) => msg === 'shutting down')
  const { faults } = await clients.stop()
  assert.deepEqual(faults, [])
  assert.equal(await proxy.program.ended, 0)
})

test('a connection without a handshake does not hold up the end', async (t) => {
  const { proxy } = await overTls(t, 'http://127.0.0.1:9', ['--shutdown-grace', '500ms'])
  const silent = rawClient(proxy.port)
  t.after(() => silent.destroy())
  await once(silent.socket, 'connect')
  proxy.program.signal('SIGTERM')
  assert.equal(await proxy.program.ended, 0)
})

test('standalone speaks it too, and says so', async (t) => {
  const { args } = await mountSecret(t, first)
  const standalone = await startStandalone('models: []\n', { args })
  t.after(() => standalone.close())
  const { url } = await tunnel(t, standalone, { ca: first.ca })
  assert.equal((await ask(url, { method: 'GET', path: '/v1/models' })).status, 200)
  assert.match(standalone.program.output(), /https:\/\/localhost:/)
})

describe('at the start a pair that is no good ends it', () => {
  const run = async (args: readonly string[]): Promise<string> => {
    const ports = ['--port', '0', '--admin-port', '0', '--host', '127.0.0.1']
    const program = startProgram({ file: 'cli/main.ts', args: ['standalone', ...ports, ...args] })
    assert.equal(await program.ended, 2)
    return program.output()
  }

  test('one without the other', async () => assert.match(await run(['--tls-cert', 'a']), /--tls-cert and --tls-key go together/))

  test('a file that is not there', async () =>
    assert.match(await run(['--tls-cert', '/none.crt', '--tls-key', '/none.key']), /none\.crt does not exist/))

  test('a key of another certificate', async (t) => {
    const { args } = await mountSecret(t, { cert: first.cert, key: second.key })
    assert.match(await run(args), /is not that of the certificate/)
  })
})
