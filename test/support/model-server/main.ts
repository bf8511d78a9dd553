/**
 * Backends that misbehave as told, over real sockets: `node test/support/model-server/main.ts`. In: commands, a JSON line each, on standard
 * input. Out: what the backends see, a JSON line each, on standard output. Ends when its standard input does.
 */
import { createInterface } from 'node:readline'
import { Backend } from './backend.ts'
import type { Command, Report } from './script.ts'

const backends = new Map<string, Backend>()

const tell = (report: Report): void => void process.stdout.write(`${JSON.stringify(report)}\n`)

function obey(command: Command): void {
  if (command.do === 'open') open(command)
  else if (command.do === 'script') backends.get(command.name)?.script(command.answers)
  else if (command.do === 'go') backends.get(command.name)?.go(command.gate)
  else tell({ kind: 'pong', number: command.number })
}

function open(command: Extract<Command, { do: 'open' }>): void {
  const backend = new Backend(command, tell)
  backends.set(command.name, backend)
  backend.listen()
}

/** Written by `model-server.ts` alone: trusted as it is. */
const parse = (line: string): Command => JSON.parse(line)

const input = createInterface({ input: process.stdin })
input.on('line', (line) => obey(parse(line)))
input.on('close', () => process.exit(0))
