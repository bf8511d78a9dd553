/** The operator under measurement: the shipped bundle as a process of its own, and what the kernel, its log and its metrics say of it. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { OPERATOR_NODE_FLAGS } from '../../../scripts/node-flags.ts'
import { freePorts } from '../../support/control-plane/free-ports.ts'
import { eventually } from '../../support/eventually.ts'
import { type Line, type Program, startProgram } from '../../support/program.ts'
import { cpuMicros } from '../processes.ts'
import type { Ground } from './ground.ts'

export interface Pushed {
  readonly commits: number
  readonly bytes: number
}

export interface RunningOperator {
  readonly pushUrl: string
  readonly caFile: string
  /** From its start until a table of all there is was made. */
  readonly startToSyncedMs: number
  /** The same from the end of its last list. */
  readonly listedToSyncedMs: number
  cpuMs(): number
  /** Resident now, and the most it ever was. */
  memory(): { readonly nowMb: number; readonly peakMb: number }
  pushed(): Promise<Pushed>
  stop(): Promise<void>
}

export interface OperatorOptions {
  /** More flags of Node, for profiles. */
  readonly nodeArgs?: readonly string[]
  readonly models: number
}

const SYNCED_WITHIN_MS = 60_000

export async function startOperator(ground: Ground, { nodeArgs = [], models }: OperatorOptions): Promise<RunningOperator> {
  const { own, served, operatorKubeconfig, cluster } = ground
  const [port = 0] = await freePorts(1)
  const pushUrl = `wss://127.0.0.1:${port}/push`
  const startedAt = Date.now()
  const whom = ['--kubeconfig', operatorKubeconfig, '--namespace', own, '--namespaces', served]
  const where = ['--host', '127.0.0.1', '--push-port', String(port), '--metrics-port', '0', '--admin-port', '0']
  const what = ['--push-names', '127.0.0.1', '--address', pushUrl, '--allow-addresses', '10.0.0.0/8', '--log-level', 'debug']
  const args = ['operator', ...whom, ...where, ...what]
  const program = startProgram({ file: 'dist/cli.mjs', nodeArgs: [...OPERATOR_NODE_FLAGS, ...nodeArgs], args })
  try {
    const { metrics } = await program.line(({ msg }) => msg === 'listening')
    const synced = await firstWhole(program, models)
    const listed = program.lines().findLast((line) => line['msg'] === 'listed' && timeOf(line) <= timeOf(synced))
    const caFile = join(cluster.folder, 'push-ca.crt')
    writeFileSync(caFile, await eventually(() => bundleOf(ground)))
    return {
      pushUrl,
      caFile,
      startToSyncedMs: timeOf(synced) - startedAt,
      listedToSyncedMs: listed === undefined ? Number.NaN : timeOf(synced) - timeOf(listed),
      cpuMs: () => cpuMicros(program.pid) / 1000,
      memory: () => memoryOf(program.pid),
      pushed: () => pushedBy(`http://127.0.0.1:${String(metrics)}/metrics`),
      stop: () => program.close(10_000),
    }
  } catch (error) {
    await program.close(10_000)
    throw new Error(`${String(error)}\n${program.output().slice(-2000)}`)
  }
}

const timeOf = (line: Line): number => Date.parse(String(line['time']))

async function firstWhole(program: Program, models: number): Promise<Line> {
  const deadline = performance.now() + SYNCED_WITHIN_MS
  for (;;) {
    const found = program.lines().find((line) => line['msg'] === 'snapshot translated' && Number(line['models']) >= models)
    if (found !== undefined) return found
    if (performance.now() > deadline) throw new Error('the operator made no table in time')
    await delay(20)
  }
}

async function bundleOf({ cluster, own }: Ground): Promise<string> {
  const map = await cluster.ask('GET', `/api/v1/namespaces/${own}/configmaps/llama-swap-push-ca`)
  const bundle: unknown = Reflect.get(Object(Reflect.get(Object(map), 'data')), 'ca.crt')
  if (typeof bundle !== 'string') throw new Error('the bundle is not there yet')
  return bundle
}

function memoryOf(pid: number): { nowMb: number; peakMb: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const mb = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1024
  return { nowMb: mb('VmRSS'), peakMb: mb('VmHWM') }
}

async function pushedBy(url: string): Promise<Pushed> {
  const text = await (await fetch(url)).text()
  const sum = (name: string): number =>
    [...text.matchAll(new RegExp(`^${name}\\{.*\\} (\\S+)$`, 'gm'))].reduce((total, [, value]) => total + Number(value), 0)
  return { commits: sum('llama_swap_pushes_total'), bytes: sum('llama_swap_pushed_bytes_total') }
}
