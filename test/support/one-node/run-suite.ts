/**
 * `node test/support/one-node/run-suite.ts [FILE …]`: runs the tests of test/end-to-end/, or those files, each on a fresh node, in that
 * node's network, two files at a time. A file's output is shown when it ends; of one that failed also what the cluster looks like. Nodes end
 * with this process, however that ends. The last lines sum the counts.
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
const FILE_WITHIN_MS = 600_000
const DIAGNOSES_WITHIN_MS = 60_000
const KILL_AFTER_MS = 10_000
/** Characters of a file's output that are kept, from its end. */
const KEPT = 1_000_000

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

async function runFile(file: string, name: string, from: Prepared, live: boolean): Promise<Counts> {
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
    return countsIn(output, code)
  } catch (error) {
    console.log(`\n==> ${file}: FAILED after ${seconds()} s\n${error instanceof Error ? error.message : String(error)}`)
    return countsIn('', 1)
  } finally {
    await removeNode(name)
  }
}

async function runAll(files: readonly string[]): Promise<Counts> {
  if (files.length === 0) throw new Error('There are no tests to run.')
  const from = prepared()
  const waiting = [...files.entries()]
  const counts: Counts[] = []
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined && !ending.signal.aborted; next = waiting.shift()) {
      const [at, file] = next
      counts.push(await runFile(file, `suite-${process.pid}-${at}`, from, files.length === 1))
    }
  }
  await Promise.all(Array.from({ length: FILES_AT_A_TIME }, worker))
  return summed(counts)
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => ending.abort())
const named = process.argv.slice(2)
const counts = await runAll(named.length > 0 ? named : globSync('test/end-to-end/*.test.ts', { cwd: ROOT }).toSorted())
console.log(`\n${linesOf(counts)}`)
process.exitCode = counts.fail === 0 && !ending.signal.aborted ? 0 : 1
