/**
 * `node test/image/measure.ts [--write]`: size, start and memory of the image for this machine's processor, as `make image` has built it.
 * With --write they go into docs/image.md. Needs root. Nothing else should run meanwhile.
 */
import { execFileSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { cpus, release } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { ROOT } from '../support/program.ts'
import { ScriptedOperator, testAuthority } from '../support/scripted-operator.ts'
import { makeTable } from '../support/table.ts'
import { type Inside, memoryOf, startInside } from './inside.ts'
import { furnish, type Unpacked, unpackImage } from './unpacked.ts'

const PAGE = join(ROOT, 'docs/image.md')
const [BEGIN, END] = ['<!-- written by make bench-image -->\n', '<!-- end -->\n']
const STARTS = 9
const MODELS = 50
/** Until nothing of the start is going on any more. */
const IDLE_AFTER_MS = 15_000
const PORTS = ['--host=127.0.0.1', '--port=0', '--admin-port=0', '--metrics-port=0']
const FROM_TABLE = ['proxy', '--table=/mnt/table.json', ...PORTS]

const table = makeTable({
  models: Object.fromEntries(
    Array.from({ length: MODELS }, (_, at) => [`model-${at}`, { backends: [{ url: `http://10.0.0.${at + 1}:8000` }] }]),
  ),
})

async function readyMs(inside: Inside): Promise<number> {
  const { metrics } = await inside.line(({ msg }) => msg === 'listening')
  while ((await fetch(`http://127.0.0.1:${String(metrics)}/readyz`)).status !== 200) await wait(2)
  return performance.now() - inside.startedAtMs
}

async function starts(image: Unpacked): Promise<readonly number[]> {
  const all: number[] = []
  for (let turn = 0; turn < STARTS; turn++) {
    const inside = startInside(image, FROM_TABLE)
    all.push(await readyMs(inside))
    await inside.kill()
  }
  return all.sort((a, b) => a - b)
}

/** At rest, in MiB: a sidecar to which an operator has pushed the table. */
async function idleSidecar(image: Unpacked): Promise<Readonly<Record<string, number>>> {
  const authority = await testAuthority()
  const operator = await ScriptedOperator.start(authority, { mode: 'Sidecar', namespace: 'default' })
  operator.give(table)
  await writeFile(join(image.mounted, 'ca.pem'), authority.cert)
  await writeFile(join(image.mounted, 'token'), 'token\n')
  const push = [`--operator=${operator.url}`, '--operator-ca=/mnt/ca.pem', '--operator-token=/mnt/token', '--mode=Sidecar']
  const inside = startInside(image, ['proxy', ...push, ...PORTS])
  await readyMs(inside)
  await wait(IDLE_AFTER_MS)
  const memory = memoryOf(inside.pid())
  await inside.kill()
  await operator.close()
  return memory
}

/** As after a start of the machine: the pages of its files are read anew, not those that unpacking has left in memory. */
function forgetPages(image: Unpacked): void {
  execFileSync('sync', ['-f', image.root])
  const files = execFileSync('find', [image.root, '-xdev', '-type', 'f'], { encoding: 'utf8' }).trim().split('\n')
  for (const file of files) execFileSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none'])
}

const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`
const mib = (memory: Readonly<Record<string, number>>, name: string): string => `${(memory[name] ?? 0).toFixed(0)} MiB`

async function report(image: Unpacked): Promise<string> {
  const other = await unpackImage(process.arch === 'arm64' ? 'amd64' : 'arm64')
  await other.remove()
  const fresh = await idleSidecar(image)
  forgetPages(image)
  const cold = await idleSidecar(image)
  const times = await starts(image)
  const at = (share: number): string => `${(times[Math.round((times.length - 1) * share)] ?? 0).toFixed(0)} ms`
  const rows: readonly (readonly [string, string, string])[] = [
    [`compressed, linux/${process.arch === 'arm64' ? 'arm64' : 'amd64'}`, '≤ 50 MB', mb(image.compressedBytes)],
    ['the same, unpacked', '', mb(image.unpackedBytes)],
    [`compressed, linux/${process.arch === 'arm64' ? 'amd64' : 'arm64'}`, '≤ 50 MB', mb(other.compressedBytes)],
    [`gateway, from start to ready, median of ${STARTS}`, '< 400 ms', at(0.5)],
    ['the same, slowest', '', at(1)],
    ['idle sidecar, resident', '≤ 96 MiB', mib(cold, 'VmRSS')],
    ['of this its own', '', mib(cold, 'RssAnon')],
    ['of this files of the image, shared by all of its containers on a node', '', mib(cold, 'RssFile')],
    ['idle sidecar, resident, when the image has just been unpacked', '', mib(fresh, 'VmRSS')],
  ]
  const machine = `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Linux ${release()}, ${new Date().toISOString().slice(0, 10)}`
  return [`${machine}.`, '', '| | Goal | Measured |', '|---|---|---|', ...rows.map((row) => `| ${row.join(' | ')} |`), ''].join('\n')
}

const image = await unpackImage(process.arch === 'arm64' ? 'arm64' : 'amd64')
try {
  await furnish(image.root)
  await writeFile(join(image.mounted, 'table.json'), JSON.stringify(table))
  const text = await report(image)
  console.log(text)
  if (process.argv.includes('--write')) {
    const page = await readFile(PAGE, 'utf8')
    await writeFile(PAGE, `${page.slice(0, page.indexOf(BEGIN) + BEGIN.length)}${text}${page.slice(page.indexOf(END))}`)
  }
} finally {
  await image.remove()
}
