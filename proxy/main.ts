/** `llama-swap proxy`, wiring only: a proxy whose routing table comes from a file, or is pushed by an operator. */
import { createLogger, type Logger } from './account/log.ts'
import { outcomeOf } from './account/settled.ts'
import { helpLines, oneOfValue, PROXY_FLAGS, type ProxyConfig, proxyConfig, pushConfig, readFlags, UsageError } from './config.ts'
import { DataPlane } from './data-plane.ts'
import { Leases, ON_LOSS, type QuotaOnLoss } from './limits/leases.ts'
import { explainFailure, runUntilSignal } from './process.ts'
import { Push, type PushConfig } from './receive/push.ts'
import { steadyNow } from './receive/push-session.ts'
import { TableFile } from './receive/table-file.ts'
import type { RequestRecord } from './serve/lifecycle.ts'
import { VERSION } from './version.ts'

const HELP = [
  'llama-swap proxy --table FILE | --operator URL,…',
  '',
  'Serves the routing table in FILE, or the one that an operator pushes. Each flag has a twin in the environment: --table is LLAMA_SWAP_TABLE.',
  '',
  ...helpLines(PROXY_FLAGS),
]

/** A data plane and where its tables come from. */
interface Parts {
  readonly proxy: DataPlane
  readonly tables: { start(): Promise<void>; close(): Promise<void> }
}

/** Resolves with the exit code. */
export async function runProxy(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Promise<number> {
  const { values, rest } = readFlags(PROXY_FLAGS, argv, env)
  if (values.has('help')) {
    process.stdout.write(`${HELP.join('\n')}\n`)
    return 0
  }
  if (rest.length > 0) throw new UsageError(`"${rest[0]}" is no flag of proxy. Use --help to see the flags.`)
  const path = values.get('table')
  const push = pushConfig(values)
  if (path !== undefined && push !== undefined) throw new UsageError('proxy takes --table or --operator, not both.')
  const config = proxyConfig(values)
  const logger = createLogger({ write: (line) => process.stdout.write(line), level: config.logLevel, now: Date.now })
  const pushed = { onLoss: oneOfValue(values, 'quota-on-loss', ON_LOSS), mayQuit: oneOfValue(values, 'quit', QUIT) === 'Asked' }
  if (push !== undefined) return serve(fromOperator(config, push, pushed, logger), logger)
  if (path === undefined) throw new UsageError('proxy needs --table FILE, the routing table as JSON, or --operator URL, which pushes it.')
  return serve(fromFile(config, path, logger), logger)
}

/** At the end an operator is told what the last requests used. */
function serve({ proxy, tables }: Parts, logger: Logger): Promise<number> {
  return runUntilSignal({
    start: async () => {
      await tables.start()
      logger.info('listening', { ...(await proxy.start()) })
    },
    close: async () => {
      await proxy.close()
      await tables.close()
    },
    logger,
  })
}

const common = (config: ProxyConfig, logger: Logger) => ({ config, logger, output: process.stdout, version: VERSION })

function fromFile(config: ProxyConfig, path: string, logger: Logger): Parts {
  const proxy = new DataPlane({ ...common(config, logger), auth: config.auth ?? 'Required', source: () => ({ from: path }) })
  return { proxy, tables: new TableFile(path, proxy.receiver) }
}

/** Its app waits for so long for a table; from then on it has 503 and Retry-After until there is one. */
const SIDECAR_GRACE_MS = 5_000

const QUIT = ['Never', 'Asked'] as const
/** As a kubelet does it. */
const quit = (): void => void process.kill(process.pid, 'SIGTERM')

interface PushedSettings {
  readonly onLoss: QuotaOnLoss
  readonly mayQuit: boolean
}

/** A sidecar asks nobody for a key: every request has the rights of its pod's namespace. */
function fromOperator(config: ProxyConfig, options: PushConfig, { onLoss, mayQuit }: PushedSettings, logger: Logger): Parts {
  const isSidecar = options.mode === 'Sidecar'
  const proxy: DataPlane = new DataPlane({
    ...common(config, logger),
    auth: isSidecar ? 'Off' : (config.auth ?? 'Required'),
    ...(isSidecar && { namespace: () => push.namespace ?? '', startupGraceMs: SIDECAR_GRACE_MS }),
    ...(mayQuit && { quit }),
    waitsBecause: () => push.waitsBecause(),
    push: () => push.readings(),
    onSettled: (record) => tell(push, record),
    source: () => push.shown(),
  })
  const push: Push = new Push({
    ...options,
    program: `llama-swap/${VERSION}`,
    receiver: proxy.receiver,
    endpoints: () => proxy.endpointReports(),
    quota: new Leases(proxy.limits, onLoss, steadyNow()),
    logger,
  })
  return { proxy, tables: push }
}

function tell(push: Push, record: RequestRecord): void {
  const { ending } = record
  if (ending?.sent === undefined) return
  const outcome = outcomeOf(record)
  push.settled({
    ref: ending.sent.model.entry.ref,
    failed: outcome !== 'ok' && !outcome.startsWith('caller_'),
    inputTokens: ending.usage?.inputTokens ?? 0,
    outputTokens: ending.usage?.outputTokens ?? 0,
  })
}

if (import.meta.main) {
  runProxy(process.argv.slice(2), process.env).then(
    (code) => process.exit(code),
    (error: unknown) => {
      process.stderr.write(`llama-swap: ${explainFailure(error)}\n`)
      process.exit(2)
    },
  )
}
