/**
 * The ground a benchmark stands on: free ports, the two C programs compiled, mock servers running, request files written. All of it lies
 * in one folder and ends with `close()`.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { TOOLS_DIR } from '../../scripts/engine/files.ts'
import { run } from '../../scripts/engine/run.ts'
import { benchTable } from './bench-table.ts'
import { LOAD_NAMES, LOADS, type LoadName, requestBody } from './loads.ts'
import { type Program, startOn } from './processes.ts'

/** What is measured runs alone on the first core; everything else shares the second. */
export const MEASURED_CORE = 0
export const OTHER_CORE = 1

export interface Ground {
  readonly folder: string
  /** The load generator. */
  readonly lg: string
  readonly headersFile: string
  readonly tableFile: string
  bodyFile(load: LoadName): string
  mockPort(load: LoadName): number
  close(): Promise<void>
}

const CLIENT_KEY = 'sk-bench-0123456789abcdef0123456789abcdef'
/** About what an SDK sends. */
const HEADERS = [
  `Authorization: Bearer ${CLIENT_KEY}`,
  'Accept-Language: *',
  'X-Stainless-Lang: js',
  'X-Stainless-Package-Version: 7.57.0',
  'X-Stainless-Retry-Count: 0',
]

export async function prepareGround(): Promise<Ground> {
  mkdirSync(TOOLS_DIR, { recursive: true })
  const folder = mkdtempSync(join(TOOLS_DIR, 'bench-'))
  const [mock, lg] = await Promise.all([compiled('mock'), compiled('lg')])
  const ports = await mockPorts()
  const program = startOn(
    OTHER_CORE,
    mock,
    LOAD_NAMES.map((load) => `${ports[load]}:${LOADS[load].answers}`),
  )
  await program.lineAfterMs(/listening/)
  writeFiles(folder, ports)
  return {
    folder,
    lg,
    headersFile: join(folder, 'headers'),
    tableFile: join(folder, 'table.json'),
    bodyFile: (load) => join(folder, load),
    mockPort: (load) => ports[load],
    close: () => close(program, folder),
  }
}

async function close(mock: Program, folder: string): Promise<void> {
  await mock.stop()
  rmSync(folder, { recursive: true, force: true })
}

async function mockPorts(): Promise<Record<LoadName, number>> {
  return { unary1k: await freePort(), unary64k: await freePort(), streams: await freePort(), manyStreams: await freePort() }
}

function writeFiles(folder: string, ports: Record<LoadName, number>): void {
  const sha256 = createHash('sha256').update(CLIENT_KEY).digest('hex')
  const table = benchTable((load) => `http://127.0.0.1:${ports[load]}`, sha256)
  writeFileSync(join(folder, 'headers'), HEADERS.map((line) => `${line}\r\n`).join(''))
  writeFileSync(join(folder, 'table.json'), JSON.stringify(table))
  for (const load of LOAD_NAMES) writeFileSync(join(folder, load), requestBody(LOADS[load]))
}

/** Compiles one of the C programs beside this file unless its binary is newer. */
async function compiled(name: 'mock' | 'lg'): Promise<string> {
  const source = join(import.meta.dirname, `${name}.c`)
  const binary = join(TOOLS_DIR, `bench-tools`, name)
  if (existsSync(binary) && statSync(binary).mtimeMs > statSync(source).mtimeMs) return binary
  mkdirSync(join(TOOLS_DIR, 'bench-tools'), { recursive: true })
  await run('gcc', ['-O2', '-Wall', '-o', binary, source, '-lm'])
  return binary
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port'))))
    })
  })
}
