/**
 * The command line: `llama-swap COMMAND`. In: argv and the environment. Out: one command run, its exit code: 0 fine, 1 what was checked is
 * wrong, 2 wrong use. One file a command; the only folder that may import both halves.
 */
import { UsageError } from '../proxy/config.ts'
import { explainFailure } from '../proxy/process.ts'

interface Command {
  readonly says: string
  readonly run: (argv: readonly string[]) => Promise<number>
}

const COMMANDS: Readonly<Record<string, Command>> = {
  standalone: {
    says: 'operator and proxy in one process, from a YAML file or folder; without one it looks for engines on this host',
    run: async (argv) => (await import('./standalone.ts')).runStandalone(argv, process.env),
  },
  proxy: {
    says: 'the proxy alone, from a routing table',
    run: async (argv) => (await import('../proxy/main.ts')).runProxy(argv, process.env),
  },
  operator: {
    says: 'watches LlamaModels and RoutingPolicies in a cluster and pushes routing tables to proxies',
    run: async (argv) => (await import('./operator.ts')).runOperator(argv, process.env),
  },
  check: { says: 'checks YAML files as the cluster would', run: async (argv) => (await import('./check-command.ts')).runCheck(argv) },
  explain: {
    says: 'says where a request would go and why, without sending it',
    run: async (argv) => (await import('./explain.ts')).runExplain(argv, process.env),
  },
  replay: {
    says: 'says how new resources would have routed the requests of an access log',
    run: async (argv) => (await import('./replay.ts')).runReplay(argv, process.env),
  },
  status: {
    says: 'says whether an installation serves its LlamaModels and RoutingPolicies, and if not, why',
    run: async (argv) => (await import('./status.ts')).runStatus(argv),
  },
  top: { says: 'shows traffic by model and endpoint, live', run: async (argv) => (await import('./top.ts')).runTop(argv) },
  version: { says: 'prints the version', run: async () => (await import('./version.ts')).runVersion() },
}

function help(): number {
  const lines = Object.entries(COMMANDS).map(([name, { says }]) => `  ${name.padEnd(11)} ${says}`)
  process.stdout.write(`llama-swap COMMAND [--help]\n\n${lines.join('\n')}\n`)
  return 0
}

async function main([name, ...argv]: readonly string[]): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') return help()
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command === undefined) throw new UsageError(`"${name}" is no command. Commands: ${Object.keys(COMMANDS).join(', ')}.`)
  return command.run(argv)
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`llama-swap: ${explainFailure(error)}\n`)
    process.exit(2)
  },
)
