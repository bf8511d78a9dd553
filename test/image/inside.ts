/**
 * Runs the image without a container runtime, as one would: its own root, read-only, as its user, without privileges to gain, the first
 * process of its own process namespace, with its environment and nothing of ours. The network is the machine's. Needs root.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Line } from '../support/program.ts'
import type { Unpacked } from './unpacked.ts'

const SCRIPT = `set -e
mount --make-rprivate /
mount --bind "$ROOT" "$ROOT"
mount --rbind /dev "$ROOT/dev"
mount -t proc proc "$ROOT/proc"
mount --bind "$MOUNTED" "$ROOT/mnt"
mount -o remount,bind,ro "$ROOT/mnt"
mount -o remount,bind,ro "$ROOT"
exec /usr/bin/env -i $SETTINGS /usr/bin/setpriv --no-new-privs /usr/sbin/chroot --userspec="$WHO" "$ROOT" "$@"`

export interface Inside {
  /** When it was started, by performance.now(). */
  readonly startedAtMs: number
  output(): string
  /** The first line that fits, seen already or still to come. Rejects when it ends first. */
  line(fits: (line: Line) => boolean): Promise<Line>
  /** Its number outside, once there is such a process. */
  pid(): number
  /** Exit code; −1 after a signal. */
  readonly ended: Promise<number>
  signal(name: 'SIGTERM'): void
  /** Resolves when all of it is gone. */
  kill(): Promise<void>
}

/** `args` follow the entrypoint; with `command` it is replaced. */
export function startInside(image: Unpacked, args: readonly string[], command: readonly string[] = image.settings.Entrypoint): Inside {
  const child = spawn('unshare', ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', SCRIPT, 'sh', ...command, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      ROOT: image.root,
      MOUNTED: image.mounted,
      WHO: image.settings.User,
      SETTINGS: image.settings.Env.join(' '),
    },
  })
  const startedAtMs = performance.now()
  /** It has changed its user since, and so would outlive `unshare`; killed as the first process, it takes all others with it. */
  const killNow = (): void => {
    for (const each of childrenOf(child.pid)) process.kill(each, 'SIGKILL')
    child.kill('SIGKILL')
  }
  process.once('exit', killNow)
  const seen: string[] = []
  const lookers = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (text) => {
      seen.push(text)
      for (const look of lookers) look()
    })
  }
  const ended = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)))
  void ended.then(() => process.off('exit', killNow))
  const kill = async (): Promise<void> => {
    killNow()
    await ended
  }
  const output = (): string => seen.join('\n')
  const pid = (): number => childrenOf(child.pid)[0] ?? 0
  const line = (fits: (line: Line) => boolean): Promise<Line> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = seen.flatMap(parsed).find(fits)
        if (found !== undefined) resolve(found)
      }
      lookers.add(look)
      look()
      void ended.then((code) => reject(new Error(`it ended with ${code}:\n${output()}`)))
    })
  return { startedAtMs, output, line, pid, ended, signal: (name) => void process.kill(pid(), name), kill }
}

function childrenOf(pid: number | undefined): readonly number[] {
  const file = `/proc/${pid}/task/${pid}/children`
  return existsSync(file)
    ? readFileSync(file, 'utf8')
        .split(' ')
        .filter((word) => word !== '')
        .map(Number)
    : []
}

function parsed(text: string): Line[] {
  try {
    return [JSON.parse(text) as Line]
  } catch {
    return []
  }
}

/** Of a process: MiB by name of `/proc/PID/status`, such as "RssAnon". */
export function memoryOf(pid: number): Readonly<Record<string, number>> {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Object.fromEntries([...text.matchAll(/^(\w+):\s+(\d+) kB$/gm)].map(([, name = '', kB]) => [name, Number(kB) / 1024]))
}
