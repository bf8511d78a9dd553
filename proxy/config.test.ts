import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  environmentTwin,
  helpLines,
  PROXY_FLAGS,
  type ProxyConfig,
  proxyConfig,
  pushConfig,
  readFlags,
  STANDALONE_FLAGS,
  UsageError,
} from './config.ts'

type Environment = Readonly<Record<string, string>>

const proxy = (argv: readonly string[] = [], env: Environment = {}): ProxyConfig => proxyConfig(readFlags(PROXY_FLAGS, argv, env).values)
const wrong = (argv: readonly string[], env: Environment = {}): string => {
  try {
    proxy(argv, env)
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error))
    return error.message
  }
  return 'nothing is wrong'
}

test('a proxy without flags', () => {
  assert.deepEqual(proxy(), {
    host: '0.0.0.0',
    port: 8080,
    adminPort: 8081,
    metricsPort: 9090,
    metricsHost: '0.0.0.0',
    logLevel: 'info',
    auth: undefined,
    anonymousNamespace: 'default',
    maxBodyBytes: 33_554_432,
    bodyTimeoutMs: 60_000,
    allowAddresses: [],
    denyAddresses: [],
    drainDelayMs: 0,
    shutdownGraceMs: 30_000,
    maxConnectionAgeMs: 600_000,
    tls: undefined,
  })
})

test('standalone listens on loopback and has no metrics port', () => {
  const { host, metricsPort } = proxyConfig(readFlags(STANDALONE_FLAGS, [], {}).values)
  assert.deepEqual([host, metricsPort], ['127.0.0.1', undefined])
})

test('every flag has a twin in the environment, and wins over it', () => {
  assert.equal(environmentTwin('max-body-bytes'), 'LLAMA_SWAP_MAX_BODY_BYTES')
  assert.equal(proxy([], { LLAMA_SWAP_PORT: '9000' }).port, 9000)
  assert.equal(proxy(['--port', '9001'], { LLAMA_SWAP_PORT: '9000' }).port, 9001)
  assert.equal(proxy(['--port=9001']).port, 9001)
  assert.equal(proxy([], { PORT: '1' }).port, 8080)
})

test('a certificate and its key go together; an age of nothing is no age', () => {
  assert.deepEqual(proxy(['--tls-cert', 'a', '--tls-key', 'b']).tls, { certFile: 'a', keyFile: 'b' })
  for (const one of ['--tls-cert', '--tls-key']) assert.match(wrong([one, 'a']), /go together/)
  assert.equal(proxy(['--max-connection-age', '0s']).maxConnectionAgeMs, Number.POSITIVE_INFINITY)
})

test('lists, words in any capitals, durations', () => {
  const read = proxy([
    '--deny-addresses',
    '10.0.0.0/8,,fc00::/7',
    '--auth',
    'required',
    '--log-level',
    'WARN',
    '--drain-delay',
    '1m30s',
    '--body-timeout=500ms',
  ])
  assert.deepEqual(
    [read.denyAddresses, read.auth, read.logLevel, read.drainDelayMs, read.bodyTimeoutMs],
    [['10.0.0.0/8', 'fc00::/7'], 'Required', 'warn', 90_000, 500],
  )
})

const WRONG: Readonly<Record<string, [string, RegExp]>> = {
  'a port above all ports': [wrong(['--port', '65536']), /^--port must be a whole number of at most 65535, not "65536"\.$/],
  'a port in words': [wrong(['--port', 'http']), /^--port must be a whole number/],
  'a port with a fraction': [wrong(['--port', '80.5']), /^--port must be a whole number/],
  'a wrong twin is told as the flag': [wrong([], { LLAMA_SWAP_ADMIN_PORT: '-1' }), /^--admin-port must be a whole number/],
  'a mode that is none': [wrong(['--auth', 'Maybe']), /^--auth must be one of Required, Optional, Off, not "Maybe"\.$/],
  'a level that is none': [wrong(['--log-level', 'loud']), /^--log-level must be one of /],
  'a duration without a unit': [wrong(['--drain-delay', '30']), /^--drain-delay must be a duration such as 500ms or 1m30s, not "30"\.$/],
  'a duration below zero': [wrong(['--drain-delay=-5s']), /^--drain-delay must be a duration/],
  'a body limit above what can be held': [
    wrong(['--max-body-bytes', '999999999999']),
    /^--max-body-bytes must be a whole number of at most 536870912/,
  ],
  'a flag that does not exist': [wrong(['--prot', '80']), /^Unknown option '--prot'\. Use --help to see the flags\.$/],
  'a flag without its value': [wrong(['--port']), /--port.*Use --help to see the flags\.$/],
}

for (const [name, [message, expected]] of Object.entries(WRONG)) test(`wrong use: ${name}`, () => assert.match(message, expected))

const push = (argv: readonly string[]) => pushConfig(readFlags(PROXY_FLAGS, argv, {}).values)
const wrongPush = (url: string): void =>
  assert.throws(() => push(['--operator', url]), new UsageError(`--operator must be wss://HOST:PORT, not "${url}".`))

test('operators are URLs over TLS, and the path of the push is theirs by default', () => {
  assert.equal(push([]), undefined)
  const read = push(['--operator', 'wss://llama-swap-push.llama-swap.svc:8443,wss://10.0.0.7:8443/other,'])
  assert.deepEqual(read?.operators.map(String), ['wss://llama-swap-push.llama-swap.svc:8443/push', 'wss://10.0.0.7:8443/other'])
  assert.deepEqual([read?.mode, read?.keysGoodForMs, read?.caFile, read?.lastKnownGood], ['Gateway', 86_400_000, undefined, undefined])
  assert.equal(push(['--operator', 'wss://a:1', '--mode', 'sidecar'])?.mode, 'Sidecar')
})

test('cleartext to an operator goes over loopback only', () => {
  for (const url of ['ws://127.0.0.1:1', 'ws://localhost:1', 'ws://[::1]:1']) assert.equal(push(['--operator', url])?.operators.length, 1)
  for (const url of ['ws://10.0.0.7:8443', 'ws://127.example.com', 'https://a:1', 'operator:8443', 'wss://user:secret@a:1', 'wss://a:1#b'])
    wrongPush(url)
})

test('what is no flag comes back', () => assert.deepEqual(readFlags(PROXY_FLAGS, ['x', '--port', '1', 'y'], {}).rest, ['x', 'y']))

test('help is asked for in two ways', () => {
  assert.equal(readFlags(PROXY_FLAGS, ['--help'], {}).values.has('help'), true)
  assert.equal(readFlags(PROXY_FLAGS, ['-h'], {}).values.has('help'), true)
  assert.equal(readFlags(PROXY_FLAGS, [], { LLAMA_SWAP_HELP: 'true' }).values.has('help'), false)
})

test('the help has a line for each flag, with its default', () => {
  const lines = helpLines(PROXY_FLAGS)
  assert.equal(lines.length, PROXY_FLAGS.length)
  assert.ok(lines.some((line) => /^ {2}--port PORT +inference port \(default 8080\)$/.test(line)))
})
