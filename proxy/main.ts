/** `llama-swap proxy`, wiring only: a proxy that reads its routing table from a file. The push from an operator is to come in beside it. */
import { createLogger } from './account/log.ts'
import { helpLines, PROXY_FLAGS, proxyConfig, readFlags, UsageError } from './config.ts'
import { DataPlane } from './data-plane.ts'
import { explainFailure, runUntilSignal } from './process.ts'
import { TableFile } from './receive/table-file.ts'
import { VERSION } from './version.ts'

const HELP = [
  'llama-swap proxy --table FILE',
  '',
  'Serves the routing table in FILE. Each flag has a twin in the environment: --table is LLAMA_SWAP_TABLE.',
  '',
  ...helpLines(PROXY_FLAGS),
]

/** Resolves with the exit code. */
export async function runProxy(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Promise<number> {
  const { values, rest } = readFlags(PROXY_FLAGS, argv, env)
  if (values.has('help')) {
    process.stdout.write(`${HELP.join('\n')}\n`)
    return 0
  }
  if (rest.length > 0) throw new UsageError(`"${rest[0]}" is no flag of proxy. Use --help to see the flags.`)
  const path = values.get('table')
  if (path === undefined) throw new UsageError('proxy needs --table FILE, the routing table as JSON.')
  const config = proxyConfig(values)
  const logger = createLogger({ write: (line) => process.stdout.write(line), level: config.logLevel, now: Date.now })
  const proxy = new DataPlane({
    config,
    auth: config.auth ?? 'Required',
    logger,
    output: process.stdout,
    version: VERSION,
    source: () => ({ from: path }),
  })
  const table = new TableFile(path, proxy.receiver)
  return runUntilSignal({
    start: async () => {
      await table.start()
      logger.info('listening', { ...(await proxy.start()) })
    },
    close: async () => {
      await table.close()
      await proxy.close()
    },
    logger,
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
