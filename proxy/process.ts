import type { Logger } from './account/log.ts'
import { environmentTwin, UsageError } from './config.ts'

const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/** Starts, serves until SIGTERM or SIGINT, closes. A second signal ends the process at once. Who listened for them before does no longer. */
export async function runUntilSignal(run: { start: () => Promise<void>; close: () => Promise<void>; logger: Logger }): Promise<number> {
  const signalled = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of SIGNALS) process.removeAllListeners(signal).once(signal, resolve)
  })
  await run.start()
  const signal = await signalled
  for (const again of SIGNALS) process.once(again, () => process.exit(1))
  run.logger.info('shutting down', { signal })
  await run.close()
  return 0
}

/** One line for whoever typed the command: what is wrong and what to do. */
export function explainFailure(error: unknown): string {
  if (error instanceof UsageError) return error.message
  if (!(error instanceof Error)) return String(error)
  const { code, port, path } = error as NodeJS.ErrnoException & { port?: number }
  if (code === 'EADDRINUSE')
    return `port ${port} is in use. Stop what listens there, or choose another with --port, --admin-port or --metrics-port (${environmentTwin('port')}, …).`
  if (code === 'EACCES' && port !== undefined) return `port ${port} may not be opened by this user. Choose one above 1023 with --port.`
  if (code === 'EADDRNOTAVAIL') return 'the address given by --host is none of this machine.'
  if (code === 'ENOENT') return `${path ?? 'a file'} does not exist. Check the path.`
  if (code === 'EACCES' || code === 'EISDIR' || code === 'EPERM')
    return `${path ?? 'a file'} cannot be read (${code}). Check its permissions.`
  return error.message
}
