/** `llama-swap replay`: how a new configuration would have routed recorded traffic. */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { STANDALONE_SETTINGS } from '../operator/resources/snapshot.ts'
import { translate } from '../operator/translate/translate.ts'
import { readFolder } from '../operator/watch/folder.ts'
import { type Flag, helpLines, readFlags, UsageError } from '../proxy/config.ts'
import { type CompiledTable, compileTable } from '../proxy/routing-table/index.ts'
import { readLine } from './replay/line.ts'
import { Replay } from './replay/replay.ts'
import { type Beside, screenOf } from './replay/screen.ts'
import type { Report } from './replay/tally.ts'
import { withStandIns } from './stand-ins.ts'

type Env = Readonly<Record<string, string | undefined>>

const FLAGS: readonly Flag[] = [
  { name: 'config', value: 'FILE|DIR', help: 'the new resources' },
  {
    name: 'old',
    value: 'FILE|DIR',
    help: 'the resources that were in force: then rules on headers can be decided where they tell of them',
  },
  { name: 'output', value: 'FORMAT', fallback: 'text', help: 'text or json' },
]

const HELP = [
  'llama-swap replay ACCESSLOG --config FILE|DIR [flags]',
  '',
  'Says how these resources would have routed the requests of an access log ("-" for standard input): shares, cost, expected latency.',
  'Nothing is sent. What a log does not have (headers, prompts) is said to be unknown.',
  '',
  ...helpLines(FLAGS),
]
/** An access line is far shorter. */
const MAX_LINE_CHARACTERS = 1_000_000

export async function runReplay(argv: readonly string[], env: Env): Promise<number> {
  const { values, rest } = readFlags(FLAGS, argv, env)
  if (values.has('help')) {
    process.stdout.write(`${HELP.join('\n')}\n`)
    return 0
  }
  const [file, ...more] = rest
  const config = values.get('config')
  const output = values.get('output')
  if (file === undefined || more.length > 0) throw new UsageError('replay needs one access log, or "-" for standard input.')
  if (config === undefined) throw new UsageError('replay needs --config FILE|DIR: the resources that are to be tried.')
  if (output !== 'text' && output !== 'json') throw new UsageError('--output must be text or json.')
  const { table, standIns } = await tableOf(config, env)
  const oldConfig = values.get('old')
  const old = oldConfig === undefined ? undefined : (await tableOf(oldConfig, env)).table
  const replays = [new Replay(table, old), ...(old === undefined ? [] : [new Replay(old, old)])]
  for await (const line of linesOf(file)) if (line !== '') takeLine(line, replays)
  for (const replay of replays) replay.finish()
  const [report, control] = replays.map(({ tally }) => tally.report())
  if (report === undefined) return 1
  const beside = { standIns, agreement: control === undefined ? undefined : agreementOf(control) }
  process.stdout.write(output === 'json' ? `${JSON.stringify({ ...report, ...beside }, null, 2)}\n` : screenOf(report, beside))
  if (report.requests > 0) return 0
  process.stderr.write(
    `llama-swap: ${file} has no access line of a request that could be decided. Give the log of a proxy, one JSON object a line.\n`,
  )
  return 1
}

function takeLine(line: string, replays: readonly Replay[]): void {
  const read = readLine(line.slice(0, MAX_LINE_CHARACTERS))
  for (const replay of replays) replay.take(read)
}

const agreementOf = ({ kept, moved }: Report): Beside['agreement'] => ({ requests: kept + moved, same: kept })

/** What `check` would refuse is said, and nothing is replayed: half a configuration would give a wrong answer. */
async function tableOf(config: string, env: Env): Promise<{ table: CompiledTable; standIns: readonly string[] }> {
  const read = await readFolder({ path: config, env, settings: STANDALONE_SETTINGS })
  const [first] = read.problems
  if (first !== undefined) throw new UsageError(`${config} cannot be used: ${first.message} \`llama-swap check\` says all that is wrong.`)
  const { resources, given } = withStandIns(read.resources)
  const { table, problems } = translate(resources)
  for (const { object, at, message } of problems) process.stderr.write(`llama-swap: ${config}: ${object}: ${at}: ${message}\n`)
  return { table: compileTable(table), standIns: given }
}

function linesOf(file: string): AsyncIterable<string> {
  const input = file === '-' ? process.stdin : createReadStream(file)
  return createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })
}
