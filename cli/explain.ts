/** `llama-swap explain`: what `POST /v1/route:explain` says, from a running proxy, or offline from YAML or a routing table. */
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { STANDALONE_SETTINGS } from '../operator/resources/snapshot.ts'
import { translate } from '../operator/translate/translate.ts'
import { readFolder } from '../operator/watch/folder.ts'
import { type Flag, helpLines, readFlags, UsageError } from '../proxy/config.ts'
import { DIALECTS } from '../proxy/dialects/dialects.ts'
import { Live } from '../proxy/live/live.ts'
import { type CompiledTable, compileTable, parseTable } from '../proxy/routing-table/index.ts'
import { explain } from '../proxy/serve/explain.ts'
import { explainScreen, isExplanation } from './explain-screen.ts'
import { withStandIns } from './stand-ins.ts'

const FLAGS: readonly Flag[] = [
  { name: 'url', value: 'URL', fallback: 'http://127.0.0.1:8080', help: 'a running proxy to ask' },
  { name: 'key', value: 'KEY', help: 'client key for it' },
  { name: 'config', value: 'FILE|DIR', help: 'decide offline from these resources instead; every endpoint counts as healthy' },
  { name: 'table', value: 'FILE', help: 'decide offline from this routing table instead' },
  { name: 'path', value: 'PATH', fallback: '/v1/chat/completions', help: 'route the request would be sent to' },
  { name: 'model', value: 'NAME', help: 'shorthand for a request with this model and a short prompt' },
  { name: 'namespace', value: 'NAMESPACE', fallback: 'default', help: "offline: the client's namespace" },
  { name: 'output', value: 'FORMAT', help: 'text or json; absent = text on a terminal, else json' },
]

const HELP = [
  'llama-swap explain [REQUEST.json | -] [flags]',
  '',
  'Says where a request would go and why. Nothing is sent to any engine.',
  '',
  ...helpLines(FLAGS),
]

export async function runExplain(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Promise<number> {
  const { values, rest } = readFlags(FLAGS, argv, env)
  if (values.has('help')) {
    process.stdout.write(`${HELP.join('\n')}\n`)
    return 0
  }
  const output = values.get('output') ?? (process.stdout.isTTY ? 'text' : 'json')
  if (output !== 'text' && output !== 'json') throw new UsageError('--output must be text or json.')
  const body = await requestBody(rest, values.get('model'))
  const table = await offlineTable(values, env)
  const result = table === undefined ? await askRunning(values, body) : decideHere(table, values, body)
  const { said } = result
  process.stdout.write(output === 'text' && isExplanation(said) ? explainScreen(said) : `${JSON.stringify(said, null, 2)}\n`)
  return result.ok ? 0 : 1
}

async function requestBody([file, ...more]: readonly string[], model: string | undefined): Promise<string> {
  if (more.length > 0) throw new UsageError('explain takes one request file.')
  if (file === '-') return text(process.stdin)
  if (file !== undefined) return readFile(file, 'utf8')
  if (model === undefined) throw new UsageError('explain needs a request: a JSON file, "-" for standard input, or --model NAME.')
  return JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }] })
}

async function offlineTable(
  values: ReadonlyMap<string, string>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<CompiledTable | undefined> {
  const config = values.get('config')
  if (config !== undefined) {
    const { resources } = await readFolder({ path: config, env, settings: STANDALONE_SETTINGS })
    return compileTable(translate(withStandIns(resources).resources).table)
  }
  const file = values.get('table')
  if (file === undefined) return undefined
  const parsed = parseTable(JSON.parse(await readFile(file, 'utf8')))
  if ('errors' in parsed) throw new UsageError(`${file} is no routing table: ${parsed.errors[0]?.pointer}: ${parsed.errors[0]?.message}`)
  return compileTable(parsed.table)
}

interface Said {
  readonly ok: boolean
  readonly said: unknown
}

function decideHere(table: CompiledTable, values: ReadonlyMap<string, string>, body: string): Said {
  const path = values.get('path') ?? ''
  const dialect = DIALECTS.get(path)
  if (dialect === undefined) throw new UsageError(`--path must be one of ${[...DIALECTS.keys()].join(', ')}.`)
  const live = new Live()
  live.apply(table)
  const client = { name: undefined, namespace: values.get('namespace') ?? 'default' }
  const waitingFor = (): number => 0
  const result = explain({
    bytes: Buffer.from(body),
    headers: {},
    client,
    dialect,
    table,
    live,
    nowMs: Date.now(),
    dice: Math.random(),
    waitingFor,
  })
  return 'error' in result ? { ok: false, said: result } : { ok: true, said: result.explanation }
}

async function askRunning(values: ReadonlyMap<string, string>, body: string): Promise<Said> {
  const url = values.get('url') ?? ''
  const key = values.get('key')
  const target = new URL(`/v1/route:explain?path=${encodeURIComponent(values.get('path') ?? '')}`, url)
  const headers = { 'content-type': 'application/json', ...(key !== undefined && { authorization: `Bearer ${key}` }) }
  const response = await fetch(target, { method: 'POST', headers, body }).catch((error: unknown) => {
    throw new UsageError(
      `${url} does not answer (${error instanceof Error && error.cause instanceof Error ? error.cause.message : 'no connection'}). Start the proxy, or use --config FILE to decide offline.`,
    )
  })
  return { ok: response.ok, said: await response.json() }
}
