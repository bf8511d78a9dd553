import { readFlags, UsageError } from '../proxy/config.ts'
import { check } from './check.ts'

const HELP = `llama-swap check FILE…

Checks LlamaModels, RoutingPolicies, Secrets and the flat file as the cluster would, folders recursively.
Prints file:line: path: message for each mistake. Exit code 0: fine; 1: mistakes; 2: wrong use.
`

/** `llama-swap check`: the same schema and rules as the API server's. */
export async function runCheck(argv: readonly string[]): Promise<number> {
  const { values, rest } = readFlags([], argv, {})
  if (values.has('help')) {
    process.stdout.write(HELP)
    return 0
  }
  if (rest.length === 0) throw new UsageError('check needs at least one file or folder.')
  return check(rest, (line) => process.stdout.write(`${line}\n`))
}
