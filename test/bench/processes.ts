/**
 * Programs that a benchmark starts, each on its own core, and what the kernel says of them. Linux only. Whatever was started here is
 * ended here: by `stop()`, or when this process exits; nothing else is ever signalled.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))

export interface Program {
  readonly pid: number
  /** By `performance.now()`. */
  readonly startedMs: number
  /** Milliseconds from the start to the first line on stdout or stderr that matches. Rejects when the program ends before. */
  lineAfterMs(pattern: RegExp): Promise<number>
  /** Resolves with stdout once it ended; rejects with what it said when its exit code is not 0. */
  ended(): Promise<string>
  stop(): Promise<void>
}

/** The limit of open files is raised as far as this user may: 1,000 streams need over 2,000. taskset and sh replace themselves. */
export function startOn(core: number, file: string, args: readonly string[]): Program {
  const raised = 'ulimit -n "$(ulimit -Hn)" && exec "$@"'
  const startedMs = performance.now()
  const child = spawn('taskset', ['-c', String(core), 'sh', '-c', raised, 'sh', file, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  const said = { stdout: '', all: '' }
  const watchers = new Set<() => void>()
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (bytes: Buffer) => {
      if (name === 'stdout') said.stdout = kept(said.stdout, bytes)
      said.all = kept(said.all, bytes)
      for (const watch of watchers) watch()
    })
  }
  const closed = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      running.delete(child)
      resolve(code)
    })
  })
  const failure = (): Error => new Error(`${file} ended:\n${said.all.slice(-2000)}`)
  return {
    pid: child.pid ?? 0,
    startedMs,
    lineAfterMs: (pattern) =>
      new Promise((resolve, reject) => {
        const watch = (): void => {
          if (!pattern.test(said.all)) return
          watchers.delete(watch)
          resolve(performance.now() - startedMs)
        }
        watchers.add(watch)
        watch()
        closed.then(() => reject(failure()), reject)
      }),
    ended: async () => {
      if ((await closed) !== 0) throw failure()
      return said.stdout
    },
    stop: async () => {
      child.kill('SIGKILL')
      await closed
    },
  }
}

const MAX_KEPT_CHARACTERS = 16_384

/** A program that says much (an access log) must not slow down its neighbours on this core: then only its last words are kept. */
function kept(before: string, bytes: Buffer): string {
  return before.length + bytes.length > MAX_KEPT_CHARACTERS ? bytes.toString('latin1') : before + bytes
}

/** CPU time used so far, of all threads. From the scheduler's own clock; a kernel without it counts in ticks of 10 ms. */
export function cpuMicros(pid: number): number {
  try {
    const threads = readdirSync(`/proc/${pid}/task`)
    return threads.reduce((sum, thread) => sum + schedulerMicros(pid, thread), 0)
  } catch {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
    return (Number(fields[11]) + Number(fields[12])) * 10_000
  }
}

function schedulerMicros(pid: number, thread: string): number {
  const [nanoseconds] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')
  return Number(nanoseconds) / 1000
}

export function residentMb(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes) / 1024
}
