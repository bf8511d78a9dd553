/** The proxy as a process of its own: `llama-swap proxy --table FILE`, or standalone, on free ports. */
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RoutingTable } from '../../proxy/routing-table/v1.ts'
import { assertAtRest } from './at-rest.ts'
import { type Line, type Program, startProgram } from './program.ts'

export interface RunningProxy {
  readonly program: Program
  /** "http://127.0.0.1:PORT" of the inference port, the admin port, and where `/metrics` is. */
  readonly url: string
  readonly adminUrl: string
  readonly metricsUrl: string
  readonly port: number
  /** Replaces the table file; resolves when the proxy has taken (or refused) what stands there. */
  push(table: RoutingTable | string): Promise<Line>
  /** The access line of the request with this id. */
  accessLine(requestId: string): Promise<Line>
  /** Resident memory in bytes. */
  rssBytes(): Promise<number>
  /** Ends it. While it still serves, it must be at rest first: else rejects with what is not, once it has ended. */
  close(): Promise<void>
}

const FREE_PORTS = ['--host', '127.0.0.1', '--port', '0', '--admin-port', '0']

export interface ProxyOptions {
  /** Absent: Off. */
  readonly auth?: 'Required' | 'Optional' | 'Off'
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export async function startProxy(
  table: RoutingTable | string,
  { auth = 'Off', args = [], env = {} }: ProxyOptions = {},
): Promise<RunningProxy> {
  const folder = await mkdtemp(join(tmpdir(), 'llama-swap-test-'))
  const file = join(folder, 'table.json')
  await writeFile(file, textOf(table))
  const program = startProgram({
    file: 'cli/main.ts',
    args: ['proxy', '--table', file, ...FREE_PORTS, '--metrics-port', '0', '--auth', auth, ...args],
    env,
  })
  return listening(
    program,
    async (text) => replace(file, text),
    () => rm(folder, { recursive: true, force: true }),
  )
}

/** A proxy that operators push to. `args` name them and all the rest; `auth` is Off if absent. */
export function startPushedProxy({ auth = 'Off', args = [], env = {} }: ProxyOptions): Promise<RunningProxy> {
  const program = startProgram({
    file: 'cli/main.ts',
    args: ['proxy', ...FREE_PORTS, '--metrics-port', '0', '--auth', auth, ...args],
    env,
  })
  return listening(
    program,
    () => Promise.reject(new Error('its table is pushed, not written')),
    async () => {},
  )
}

export interface RunningStandalone extends RunningProxy {
  /** Replaces the configuration; when that takes effect is for the caller to see. */
  edit(text: string): Promise<void>
}

/** `config`: the text of the file that --config names; absent = no --config at all. */
export async function startStandalone(
  config: string | undefined,
  { args = [], env = {} }: Omit<ProxyOptions, 'auth'> = {},
): Promise<RunningStandalone> {
  const folder = await mkdtemp(join(tmpdir(), 'llama-swap-test-'))
  const file = join(folder, 'llama-swap.yaml')
  if (config !== undefined) await writeFile(file, config)
  const program = startProgram({
    file: 'cli/main.ts',
    args: ['standalone', ...(config === undefined ? [] : ['--config', file]), ...FREE_PORTS, ...args],
    env,
  })
  const edit = (text: string): Promise<void> => replace(file, text)
  return { ...(await listening(program, edit, () => rm(folder, { recursive: true, force: true }))), edit }
}

/** As an editor or a mounted ConfigMap does it: the new file takes the old one's place. */
async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text)
  await rename(`${file}.new`, file)
}

const textOf = (table: RoutingTable | string): string => (typeof table === 'string' ? table : JSON.stringify(table))

async function listening(program: Program, write: (text: string) => Promise<void>, remove: () => Promise<void>): Promise<RunningProxy> {
  const end = async (): Promise<void> => {
    await program.close()
    await remove()
  }
  const line = await program
    .line(({ msg }) => msg === 'listening')
    .catch(async (error: unknown) => {
      await end()
      throw error
    })
  const port = portOf(line, 'inference')
  const admin = portOf(line, 'admin')
  const metrics = line['metrics'] === undefined ? admin : portOf(line, 'metrics')
  const adminUrl = `http://127.0.0.1:${admin}`
  const metricsUrl = `http://127.0.0.1:${metrics}`
  return {
    program,
    port,
    url: `http://127.0.0.1:${port}`,
    adminUrl,
    metricsUrl,
    push: async (table) => {
      const before = program.lines().filter(isAboutTable).length
      await write(textOf(table))
      let seen = 0
      return program.line((each) => isAboutTable(each) && ++seen > before)
    },
    accessLine: (requestId) => program.line((each) => each['msg'] === 'request' && each['request_id'] === requestId),
    rssBytes: () => rssOf(program.pid),
    close: async () => {
      try {
        if (serves(program)) await assertAtRest({ adminUrl, metricsUrl, pid: program.pid })
      } finally {
        await end()
      }
    },
  }
}

/** Neither ended nor told to end. */
const serves = ({ child, lines }: Program): boolean =>
  child.exitCode === null && child.signalCode === null && !child.killed && !lines().some(({ msg }) => msg === 'shutting down')

const isAboutTable = ({ msg }: Line): boolean => String(msg).startsWith('routing table ')

function portOf(line: Line, name: string): number {
  const port = line[name]
  if (typeof port !== 'number') throw new Error(`the line "listening" names no ${name} port: ${JSON.stringify(line)}`)
  return port
}

async function rssOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
}
