/** Starts the program of scripted backends and talks to it: opens backends, opens their gates, asks what they saw. */
import { createInterface } from 'node:readline'
import { startProgram } from '../program.ts'
import type { Answer, Command, Report } from './script.ts'

export interface SeenRequest {
  readonly atMs: number
  readonly connection: number
  readonly method: string
  readonly path: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
  /** When its last step was taken; undefined = not (yet). */
  readonly doneAtMs: number | undefined
  /** When the proxy left before that. */
  readonly goneAtMs: number | undefined
  /** Written to the socket when one of these two happened. */
  readonly bytes: number
}

export interface ScriptedBackend {
  readonly url: string
  readonly port: number
  /** New answers from the next request on, once this has resolved. */
  script(...answers: readonly Answer[]): Promise<void>
  /** Opens a gate that answers wait for; it stays open. */
  go(gate: string): void
  /** Everything it has seen up to now. */
  seen(): Promise<readonly SeenRequest[]>
  /** Resolves when it has received its `number`th request, from 1. */
  received(number?: number): Promise<SeenRequest>
  /** Resolves when the proxy has left its `number`th request before the answer was over. */
  left(number?: number): Promise<SeenRequest>
}

export interface ModelServer {
  /** The first request gets the first answer, those behind the last get the last. */
  open(...answers: readonly Answer[]): Promise<ScriptedBackend>
  close(): Promise<void>
}

type Mutable = { -readonly [K in keyof SeenRequest]: SeenRequest[K] }

export function startModelServer(): ModelServer {
  const program = startProgram({ file: 'test/support/model-server/main.ts' })
  const requests = new Map<string, Mutable[]>()
  const ports = new Map<string, PromiseWithResolvers<number>>()
  const pongs = new Map<number, () => void>()
  const waiting = new Set<() => void>()
  let opened = 0
  let pings = 0
  const say = (command: Command): void => void program.child.stdin?.write(`${JSON.stringify(command)}\n`)

  const take = (report: Report): void => {
    if (report.kind === 'opened') ports.get(report.name)?.resolve(report.port)
    else if (report.kind === 'pong') pongs.get(report.number)?.()
    else note(requests.get(report.name) ?? [], report)
    for (const wake of waiting) wake()
  }
  if (program.child.stdout !== null) createInterface({ input: program.child.stdout }).on('line', (line) => take(parse(line)))

  const until = <T>(find: () => T | undefined, what: string): Promise<T> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => settle(() => reject(new Error(`a scripted backend waited 10 s in vain for ${what}`))), 10_000)
      const settle = (then: () => void): void => {
        clearTimeout(timer)
        waiting.delete(look)
        then()
      }
      const look = (): void => {
        const found = find()
        if (found !== undefined) settle(() => resolve(found))
      }
      waiting.add(look)
      look()
    })

  /** The program has obeyed all that was said before, and all that it told before is known here. */
  const caughtUp = async (): Promise<void> => {
    const pong = Promise.withResolvers<void>()
    pongs.set(++pings, pong.resolve)
    say({ do: 'ping', number: pings })
    await pong.promise
  }

  const open = async (...answers: readonly Answer[]): Promise<ScriptedBackend> => {
    const name = String(++opened)
    const list: Mutable[] = []
    const port = Promise.withResolvers<number>()
    requests.set(name, list)
    ports.set(name, port)
    say({ do: 'open', name, answers })
    return {
      url: `http://127.0.0.1:${await port.promise}`,
      port: await port.promise,
      script: async (...next) => {
        say({ do: 'script', name, answers: next })
        await caughtUp()
      },
      go: (gate) => say({ do: 'go', name, gate }),
      seen: async () => {
        await caughtUp()
        return [...list]
      },
      received: (number = 1) => until(() => list[number - 1], `request ${number}`),
      left: (number = 1) =>
        until(() => (list[number - 1]?.goneAtMs === undefined ? undefined : list[number - 1]), `the end of request ${number}`),
    }
  }
  return { open, close: () => program.close() }
}

/** Written by the program beside this file: trusted as it is. */
const parse = (line: string): Report => JSON.parse(line)

function note(list: Mutable[], report: Exclude<Report, { kind: 'opened' | 'pong' }>): void {
  if (report.kind === 'request') {
    const { atMs, connection, method, path, headers, body } = report
    list.push({ atMs, connection, method, path, headers, body, doneAtMs: undefined, goneAtMs: undefined, bytes: 0 })
    return
  }
  const request = list[report.id - 1]
  if (request === undefined) return
  request.bytes = report.bytes
  if (report.kind === 'done') request.doneAtMs = report.atMs
  else request.goneAtMs = report.atMs
}
