/**
 * `node test/support/one-node/run-suite.ts [FILE …]`: runs the tests of test/end-to-end/, or those files, each on a fresh node, in that
 * node's network, two files at a time. A file's output is shown when it ends; of one that failed also what the cluster looks like. Nodes end
 * with this process, however that ends. The last lines say again what failed, in short, and sum the counts. FILE_MINUTES (10)
 * is what a file may take.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../program.ts'
import { type Counts, countsIn, linesOf, summed } from './counts.ts'
import type { Layout } from './layout.ts'
import { removeNode, startNode } from './node.ts'
import { type Prepared, prepared } from './prepare.ts'

const HERE = import.meta.dirname
const FILES_AT_A_TIME = 2
const FILE_WITHIN_MS = Number(process.env['FILE_MINUTES'] ?? '10') * 60_000
const DIAGNOSES_WITHIN_MS = 60_000
const KILL_AFTER_MS = 10_000
/** Characters of a file's output that are kept, from its end. */
const KEPT = 1_000_000
/** Of what failed in one file, at the end of all. */
const REASON_LINES = 30
const REASON_CHARACTERS = 3000

const STRICT = ['spec:stdout', './scripts/nothing-skipped.ts:stderr'].flatMap((one) => {
  const [reporter, destination] = one.split(':')
  return [`--test-reporter=${reporter}`, `--test-reporter-destination=${destination}`]
})

interface Ended {
  readonly output: string
  readonly code: number
}

const ending = new AbortController()

/** In the node's network. `live`: its output is shown as it comes. */
async function inNode({ state }: Layout, command: readonly string[], withinMs: number, live: boolean): Promise<Ended> {
  const args = ['--pdeathsig', 'KILL', 'sh', join(HERE, 'in.sh'), state, ...command]
  const child = spawn('setpriv', args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const take = (bytes: Buffer): void => {
    output = (output + bytes.toString()).slice(-KEPT)
    if (live) process.stdout.write(bytes)
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  const stop = boundedBy(child, withinMs)
  const code = await new Promise<number | undefined>((resolve) =>
    child.once('error', () => resolve(1)).once('close', (it) => resolve(it ?? undefined)),
  )
  const why = stop()
  return { output: why === undefined ? output : `${output}\n${why}\n`, code: code ?? 1 }
}

/** Ends the child, in order first, after `withinMs` or when the run is to end. Returns what calls that off and tells whether it was done. */
function boundedBy(child: ChildProcess, withinMs: number): () => string | undefined {
  let why: string | undefined
  const end = (reason: string): void => {
    why ??= `run-suite: ${reason}`
    child.kill('SIGTERM')
    killer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS)
  }
  const stopped = (): void => end('the run was ended')
  let killer: NodeJS.Timeout | undefined
  const timer = setTimeout(() => end(`not done after ${withinMs / 1000} s`), withinMs)
  ending.signal.addEventListener('abort', stopped)
  return () => {
    clearTimeout(timer)
    clearTimeout(killer)
    ending.signal.removeEventListener('abort', stopped)
    return why
  }
}

interface Ran {
  readonly counts: Counts
  /** '' = nothing. */
  readonly wentWrong: string
}

/** The reporter's own list of failures, its first lines: whoever sees only the end of a long log sees the reason. */
function failuresIn(file: string, output: string): string {
  const list = output.split(/^✖ failing tests:$/m)[1] ?? output.slice(-REASON_CHARACTERS)
  const lines = list.split('\n').filter((line) => line.trim() !== '' && !/^ +at /.test(line))
  return `\n==> ${file} FAILED\n${lines.slice(0, REASON_LINES).join('\n').slice(0, REASON_CHARACTERS)}\n`
}

async function runFile(file: string, name: string, from: Prepared, live: boolean): Promise<Ran> {
  const start = performance.now()
  const seconds = (): string => ((performance.now() - start) / 1000).toFixed(0)
  try {
    const layout = await startNode(name, from, 'tied')
    console.log(`run-suite: ${file} begins; its node took ${seconds()} s`)
    const { output, code } = await inNode(layout, [process.execPath, '--test', ...STRICT, file], FILE_WITHIN_MS, live)
    const words =
      code === 0 || ending.signal.aborted
        ? { output: '' }
        : await inNode(layout, ['sh', join(HERE, 'diagnose.sh'), layout.access.logs], DIAGNOSES_WITHIN_MS, false)
    console.log(`\n==> ${file}: ${code === 0 ? 'passed' : 'FAILED'} after ${seconds()} s\n${live ? '' : output}${words.output}`)
    return { counts: countsIn(output, code), wentWrong: code === 0 ? '' : failuresIn(file, output) }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    console.log(`\n==> ${file}: FAILED after ${seconds()} s\n${reason}`)
    return { counts: countsIn('', 1), wentWrong: failuresIn(file, reason) }
  } finally {
    await removeNode(name)
  }
}

async function runAll(files: readonly string[]): Promise<readonly Ran[]> {
  if (files.length === 0) throw new Error('There are no tests to run.')
  const from = prepared()
  const waiting = [...files.entries()]
  const ran: Ran[] = []
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined && !ending.signal.aborted; next = waiting.shift()) {
      const [at, file] = next
      ran.push(await runFile(file, `suite-${process.pid}-${at}`, from, files.length === 1))
    }
  }
  await Promise.all(Array.from({ length: FILES_AT_A_TIME }, worker))
  return ran
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => ending.abort())
const named = process.argv.slice(2)
const ran = await runAll(named.length > 0 ? named : globSync('test/end-to-end/*.test.ts', { cwd: ROOT }).toSorted())
const counts = summed(ran.map((one) => one.counts))
for (const { wentWrong } of ran) process.stdout.write(wentWrong)
console.log(`\n${linesOf(counts)}`)
process.exitCode = counts.fail === 0 && !ending.signal.aborted ? 0 : 1
