/**
 * `node scripts/charts.ts`: what the charts have from elsewhere: copies of crds/, and the tables of values in their READMEs, from the
 * comments "# --" of values.yaml. Besides, `dist/crds.yaml`, for kubectl, with the version that the charts give definitions. `--check`
 * writes nothing and is red when a copy or a table is old; `--package` makes archives of both charts in dist/, with helm.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { load } from 'js-yaml'
import { run } from './engine/run.ts'
import { fetchKubeTools, HELMS } from './fetch-kube-tools.ts'
import { valuesTable } from './values-table.ts'

const ROOT = join(import.meta.dirname, '..')
const DIST = join(ROOT, 'dist')
const CHARTS = ['charts/llama-swap', 'charts/llama-swap-crds']
const TABLE = /(?<=<!-- values: make charts -->\n)(.*\n)*(?=<!-- end -->)/

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

/** Definitions say the version of their chart, which its downgradePolicy looks at. */
function versioned(definition: string): string {
  const about = load(read(`${CHARTS[1]}/Chart.yaml`))
  const version = typeof about === 'object' && about !== null && 'version' in about ? String(about.version) : ''
  return definition.replace('\nmetadata:\n', `\nmetadata:\n  annotations: {llamaswap.dev/definitions: ${version}}\n`)
}

const crds = readdirSync(join(ROOT, 'crds')).filter((file) => file.endsWith('.yaml'))

function outputs(): ReadonlyMap<string, string> {
  const copies = CHARTS.flatMap((chart) => crds.map((file) => [`${chart}/files/crds/${file}`, read(`crds/${file}`)] as const))
  const readmes = CHARTS.map((chart) => {
    const readme = read(`${chart}/README.md`)
    if (!TABLE.test(readme)) throw new Error(`${chart}/README.md has no place for its values.`)
    return [`${chart}/README.md`, readme.replace(TABLE, () => `\n${valuesTable(read(`${chart}/values.yaml`))}\n\n`)] as const
  })
  return new Map([...copies, ...readmes])
}

async function packageCharts(): Promise<void> {
  await fetchKubeTools((line) => console.log(`charts: ${line}`))
  for (const chart of CHARTS) console.log((await run(HELMS[4], ['package', join(ROOT, chart), '--destination', DIST])).trim())
}

const stale = [...outputs()].filter(([path, text]) => readIfThere(path) !== text)
if (process.argv.includes('--check')) {
  for (const [path] of stale) console.error(`${path} is out of date: run node scripts/charts.ts`)
  process.exitCode = stale.length === 0 ? 0 : 1
} else {
  for (const [path, text] of stale) writeFileSync(join(ROOT, path), text)
  mkdirSync(DIST, { recursive: true })
  writeFileSync(join(DIST, 'crds.yaml'), crds.map((file) => versioned(read(`crds/${file}`))).join('---\n'))
  if (process.argv.includes('--package')) await packageCharts()
}

function readIfThere(path: string): string | undefined {
  try {
    return read(path)
  } catch {
    return undefined
  }
}
