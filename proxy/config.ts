/**
 * Every flag and its environment twin, read once. In: argv and env as values. Out: a typed configuration, or one line that says what to
 * do. `--port 9000` is `LLAMA_SWAP_PORT=9000`; a flag wins over its twin. Nothing else of the program reads the environment.
 */
import { parseArgs } from 'node:util'
import { LOG_LEVELS, type LogLevel } from './account/log.ts'
import { parseDuration } from './duration.ts'
import type { PushConfig } from './receive/push.ts'
import { type ProxyMode, PUSH_PATH } from './routing-table/frames.ts'
import { AUTH_MODES, type AuthMode } from './serve/authenticate.ts'
import type { PairFiles } from './serve/tls-pair.ts'

export interface Flag {
  readonly name: string
  readonly value: string
  readonly fallback?: string
  readonly help: string
}

export const flag = (name: string, value: string, fallback: string | undefined, help: string): Flag => ({
  name,
  value,
  help,
  ...(fallback !== undefined && { fallback }),
})

/** Shared by everything that serves. */
const SERVING = [
  flag('port', 'PORT', '8080', 'inference port'),
  flag('admin-port', 'PORT', '8081', 'admin port, on loopback only'),
  flag('log-level', 'LEVEL', 'info', LOG_LEVELS.join(', ')),
  flag('auth', 'MODE', undefined, `${AUTH_MODES.join(', ')}: whether clients must send a key`),
  flag('anonymous-namespace', 'NAMESPACE', 'default', 'namespace of requests without a key'),
  flag('max-body-bytes', 'BYTES', '33554432', 'largest request body'),
  flag('body-timeout', 'DURATION', '60s', 'time a client has to send its body'),
  flag('allow-addresses', 'CIDR,…', '', 'backend addresses allowed although denied otherwise'),
  flag('deny-addresses', 'CIDR,…', '', 'backend addresses never connected to, besides link-local and metadata'),
  flag('drain-delay', 'DURATION', '0s', 'time between unready and closing the port at shutdown'),
  flag('shutdown-grace', 'DURATION', '30s', 'time running requests have to end at shutdown'),
  flag(
    'tls-cert',
    'FILE',
    '',
    'certificate in PEM, with those that signed it: the inference port speaks HTTPS; read again when it changes',
  ),
  flag('tls-key', 'FILE', '', 'its private key in PEM'),
  flag('max-connection-age', 'DURATION', '10m', 'age, give or take a tenth, at which a connection ends with its next answer; 0s = never'),
] as const

export const STANDALONE_FLAGS: readonly Flag[] = [
  flag('config', 'FILE|DIR', '', 'resources or the flat file, as YAML; absent = look for engines on this host'),
  flag('state-file', 'FILE', '', 'what was used of limits a day; absent = one for this --config under $XDG_STATE_HOME or ~/.local/state'),
  flag('host', 'ADDRESS', '127.0.0.1', 'address to listen on'),
  ...SERVING,
]

export const PROXY_FLAGS: readonly Flag[] = [
  flag('table', 'FILE', '', 'routing table as JSON, read again when it changes'),
  flag('operator', 'URL,…', '', 'operators that push the routing table, such as wss://llama-swap-operator:8443; instead of --table'),
  flag('operator-ca', 'FILE', '', "certificates in PEM that sign the operators'; absent = the system's"),
  flag('operator-token', 'FILE', '', "this pod's ServiceAccount token with the audience llama-swap-push"),
  flag('mode', 'MODE', 'Gateway', 'Gateway, or Sidecar: every request has the rights of the pod and needs no key'),
  flag('client-token', 'FILE', '', "Sidecar: the pod's token with the audience llama-swap-client, for models behind a gateway"),
  flag('last-known-good', 'FILE', '', 'where a pushed table is kept over a restart; best on a memory-backed volume'),
  flag('last-known-good-max-age', 'DURATION', '24h', 'how long client keys from there are good without an operator'),
  flag('quota-on-loss', 'MODE', 'Shrink', 'Shrink, Open, Closed: what holds of shared limits while no operator is there'),
  flag('quit', 'MODE', 'Never', 'Never, or Asked: POST /quit at the admin port ends the program, for apps that end before their sidecar'),
  flag('host', 'ADDRESS', '0.0.0.0', 'address to listen on'),
  flag('metrics-host', 'ADDRESS', '', 'address of the metrics port; absent = that of --host'),
  flag('metrics-port', 'PORT', '9090', '/metrics /healthz /readyz /startupz'),
  ...SERVING,
]

export type FlagValues = ReadonlyMap<string, string>

/** Wrong use: one line for the user, exit code 2. */
export class UsageError extends Error {}

export const environmentTwin = (name: string): string => `LLAMA_SWAP_${name.toUpperCase().replaceAll('-', '_')}`

/** Values of all flags: given, else the twin's, else the fallback. Throws UsageError. */
export function readFlags(
  flags: readonly Flag[],
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): { values: FlagValues; rest: readonly string[] } {
  const options = Object.fromEntries([
    ...flags.map(({ name }) => [name, { type: 'string' as const }] as const),
    ['help', { type: 'boolean' as const, short: 'h' }] as const,
  ])
  const { values: given, positionals } = parse(argv, options)
  const values = new Map<string, string>()
  for (const { name, fallback } of flags) {
    const value = given[name] ?? env[environmentTwin(name)] ?? fallback
    if (typeof value === 'string' && value !== '') values.set(name, value)
  }
  if (given['help'] === true) values.set('help', 'true')
  return { values, rest: positionals }
}

function parse(
  argv: readonly string[],
  options: Record<string, { type: 'string' | 'boolean' }>,
): { values: Record<string, unknown>; positionals: string[] } {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true, strict: true })
  } catch (error) {
    const message = error instanceof Error ? error.message.split('. To specify')[0] : String(error)
    throw new UsageError(`${message}. Use --help to see the flags.`)
  }
}

export interface ProxyConfig {
  readonly host: string
  readonly port: number
  readonly adminPort: number
  /** Undefined in standalone: there the admin port serves these paths too. */
  readonly metricsPort: number | undefined
  readonly metricsHost: string
  readonly logLevel: LogLevel
  /** Undefined = the mode's default, decided at start. */
  readonly auth: AuthMode | undefined
  readonly anonymousNamespace: string
  readonly maxBodyBytes: number
  readonly bodyTimeoutMs: number
  readonly allowAddresses: readonly string[]
  readonly denyAddresses: readonly string[]
  readonly drainDelayMs: number
  readonly shutdownGraceMs: number
  /** Infinity = connections may become as old as they like. */
  readonly maxConnectionAgeMs: number
  /** Undefined = the inference port speaks plain HTTP. */
  readonly tls: PairFiles | undefined
}

/** Throws UsageError on the first value that makes no sense. */
export function proxyConfig(values: FlagValues): ProxyConfig {
  const text = (name: string): string => values.get(name) ?? ''
  return {
    host: text('host'),
    port: wholeValue(values, 'port', 65_535),
    adminPort: wholeValue(values, 'admin-port', 65_535),
    metricsHost: values.get('metrics-host') ?? text('host'),
    metricsPort: values.has('metrics-port') ? wholeValue(values, 'metrics-port', 65_535) : undefined,
    logLevel: oneOfValue(values, 'log-level', LOG_LEVELS),
    auth: values.has('auth') ? oneOfValue(values, 'auth', AUTH_MODES) : undefined,
    anonymousNamespace: text('anonymous-namespace'),
    maxBodyBytes: wholeValue(values, 'max-body-bytes', 512 * 1024 * 1024),
    bodyTimeoutMs: timerMs('body-timeout', text('body-timeout')),
    allowAddresses: listValue(values, 'allow-addresses'),
    denyAddresses: listValue(values, 'deny-addresses'),
    drainDelayMs: timerMs('drain-delay', text('drain-delay')),
    shutdownGraceMs: timerMs('shutdown-grace', text('shutdown-grace')),
    maxConnectionAgeMs: durationMs('max-connection-age', text('max-connection-age')) || Number.POSITIVE_INFINITY,
    tls: tlsFiles(values),
  }
}

function tlsFiles(values: FlagValues): PairFiles | undefined {
  const certFile = values.get('tls-cert')
  const keyFile = values.get('tls-key')
  if (certFile !== undefined && keyFile !== undefined) return { certFile, keyFile }
  if (certFile === undefined && keyFile === undefined) return undefined
  throw new UsageError('--tls-cert and --tls-key go together: the certificate and its private key.')
}

/** Undefined without --operator. Throws UsageError. */
export function pushConfig(values: FlagValues): PushConfig | undefined {
  const operators = values
    .get('operator')
    ?.split(',')
    .filter((part) => part !== '')
    .map(operatorUrl)
  if (operators === undefined || operators.length === 0) return undefined
  return {
    operators,
    caFile: values.get('operator-ca'),
    tokenFile: values.get('operator-token'),
    mode: oneOfValue(values, 'mode', PROXY_MODES),
    clientTokenFile: values.get('client-token'),
    lastKnownGood: values.get('last-known-good'),
    keysGoodForMs: durationMs('last-known-good-max-age', values.get('last-known-good-max-age') ?? ''),
  }
}

const PROXY_MODES: readonly ProxyMode[] = ['Gateway', 'Sidecar']
const LOOPBACK = /^(localhost|127(\.[0-9]+){3}|\[::1\])$/

/** Cleartext is for tests on loopback: tables hold credentials. */
function operatorUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isSafe = url?.protocol === 'wss:' || (url?.protocol === 'ws:' && LOOPBACK.test(url.hostname))
  if (url === undefined || !isSafe || url.username !== '' || url.password !== '' || url.hash !== '')
    throw new UsageError(`--operator must be wss://HOST:PORT, not "${text}".`)
  if (url.pathname === '/') url.pathname = PUSH_PATH
  return url
}

/** "a,b" as its parts; none for "". */
export function listValue(values: FlagValues, name: string): readonly string[] {
  return (values.get(name) ?? '').split(',').filter((part) => part !== '')
}

/** Throws UsageError. */
export function wholeValue(values: FlagValues, name: string, max: number): number {
  const text = values.get(name) ?? ''
  const value = Number(text)
  if (!/^[0-9]{1,12}$/.test(text) || value > max) throw new UsageError(`--${name} must be a whole number of at most ${max}, not "${text}".`)
  return value
}

/** Throws UsageError. */
export function oneOfValue<T extends string>(given: FlagValues, name: string, values: readonly T[]): T {
  const text = given.get(name) ?? ''
  const found = values.find((value) => value.toLowerCase() === text.toLowerCase())
  if (found === undefined) throw new UsageError(`--${name} must be one of ${values.join(', ')}, not "${text}".`)
  return found
}

function durationMs(name: string, text: string): number {
  const ms = parseDuration(text)
  if (ms === undefined) throw new UsageError(`--${name} must be a duration such as 500ms or 1m30s, not "${text}".`)
  return ms
}

/** Node's timers are 32 bits wide: one that is longer would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

const timerMs = (name: string, text: string): number => Math.min(durationMs(name, text), MAX_TIMER_MS)

/** The lines of a command's help. */
export function helpLines(flags: readonly Flag[]): string[] {
  const width = Math.max(...flags.map(({ name, value }) => name.length + value.length)) + 3
  return flags.map(({ name, value, help, fallback }) => {
    const shown = fallback === undefined || fallback === '' ? '' : ` (default ${fallback})`
    return `  --${`${name} ${value}`.padEnd(width)} ${help}${shown}`
  })
}
