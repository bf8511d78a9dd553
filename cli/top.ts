/** `llama-swap top`: traffic by model and endpoint, live, as the leading operator has heard it from all proxies. It changes nothing. */
import { setTimeout as delay } from 'node:timers/promises'
import { type Flag, flag, helpLines, readFlags, UsageError } from '../proxy/config.ts'
import { askOperator, podOf } from './operator-state.ts'
import { type Sample, topScreen } from './top-screen.ts'

const TOP_FLAGS: readonly Flag[] = [
  flag('operator', 'URL', 'http://127.0.0.1:8081', "the leading operator's admin port, such as through kubectl port-forward"),
]

const HELP = [
  'llama-swap top [--once] [flags]',
  '',
  'Requests, errors and tokens a second by LlamaModel, over the last five seconds; requests in flight and state by endpoint. It is drawn anew',
  'each second until Ctrl-C; --once, or an output that is no terminal: five seconds are measured and printed. Exit code 1: the operator does',
  'not lead; 2: wrong use, or it does not answer.',
  '',
  ...helpLines(TOP_FLAGS),
]

const EVERY_MS = 1_000
/** Proxies report each second: over less, rates would jump. */
const WINDOW_MS = 5_000
const PRINTED = { rows: 1_000, columns: 100 }

export async function runTop(argv: readonly string[]): Promise<number> {
  const { values, rest } = readFlags(
    TOP_FLAGS,
    argv.filter((one) => one !== '--once'),
    {},
  )
  if (rest.length > 0) throw new UsageError(`"${rest[0]}" is no flag of top. Use --help to see the flags.`)
  if (values.has('help')) return write(`${HELP.join('\n')}\n`)
  const url = values.get('operator') ?? ''
  if (!URL.canParse(url)) throw new UsageError(`--operator must be a URL such as http://127.0.0.1:8081, not "${url}".`)
  return argv.includes('--once') || !process.stdout.isTTY ? once(url) : live(url)
}

function write(text: string): number {
  process.stdout.write(text)
  return 0
}

async function sample(url: string, signal: AbortSignal): Promise<Sample> {
  const asked = await askOperator(url, signal)
  if ('because' in asked) throw new UsageError(`${asked.because}. To reach it: kubectl port-forward POD 8081, then --operator URL.`)
  return { atMs: performance.now(), state: asked.state }
}

async function once(url: string): Promise<number> {
  const { signal } = new AbortController()
  const before = await sample(url, signal)
  if (!before.state.leads) return standby(before)
  await delay(WINDOW_MS)
  const now = await sample(url, signal)
  if (!now.state.leads) return standby(now)
  return write(`${topScreen(before, now, PRINTED).join('\n')}\n`)
}

function standby({ state: { identity, leader } }: Sample): number {
  write(
    `${podOf(identity)} does not lead and hears no proxies. ${leader === undefined ? 'Nobody leads now.' : `Ask the leader, ${podOf(leader)}.`}\n`,
  )
  return 1
}

const CLEAR_LINE_END = '\u001B[K'
const HOME = '\u001B[H'
const CLEAR_BELOW = '\u001B[J'

/** Some terminals say that they have no size. The last line is the cursor's. */
function terminal(): { readonly rows: number; readonly columns: number } {
  const { rows, columns } = process.stdout
  return { rows: (rows > 1 ? rows : 25) - 1, columns: columns > 0 ? columns : PRINTED.columns }
}

/** Until SIGINT. Each screen overwrites the one before, so that nothing flickers. */
async function live(url: string): Promise<number> {
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  let window: readonly Sample[] = []
  try {
    for (;;) {
      const now = await sample(url, stop.signal)
      if (!now.state.leads) return standby(now)
      const screen = topScreen(window[0], now, terminal())
      write(`${HOME}${screen.map((line) => `${line}${CLEAR_LINE_END}\n`).join('')}${CLEAR_BELOW}`)
      window = [...window, now].filter(({ atMs }) => now.atMs - atMs < WINDOW_MS)
      await delay(EVERY_MS, undefined, { signal: stop.signal })
    }
  } catch (error) {
    if (stop.signal.aborted) return 0
    throw error
  }
}
