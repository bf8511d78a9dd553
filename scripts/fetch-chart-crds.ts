/**
 * `node scripts/fetch-chart-crds.ts`: puts the definitions of other projects' resources that the charts make (ServiceMonitor, PodMonitor,
 * PrometheusRule, HTTPRoute, BackendTLSPolicy) into `.tools/chart-crds/`, from their Go modules, whose checksums Go verifies. Needs Go. Does nothing, at
 * once, when they are there and were made by this very recipe.
 */
import { existsSync, readFileSync } from 'node:fs'
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { TOOLS_DIR } from './engine/files.ts'
import { run } from './engine/run.ts'

export const CHART_CRDS = join(TOOLS_DIR, 'chart-crds')

const MODULES: Readonly<Record<string, readonly string[]>> = {
  'github.com/prometheus-operator/prometheus-operator@v0.85.0': ['servicemonitors', 'podmonitors', 'prometheusrules'].map(
    (plural) => `example/prometheus-operator-crd/monitoring.coreos.com_${plural}.yaml`,
  ),
  'sigs.k8s.io/gateway-api@v1.4.1': ['httproutes', 'backendtlspolicies'].map(
    (plural) => `config/crd/standard/gateway.networking.k8s.io_${plural}.yaml`,
  ),
}

/** Resolves once all are there. `say` gets one line a step. */
export async function fetchChartCrds(say: (line: string) => void): Promise<void> {
  const recipe = JSON.stringify(MODULES)
  const stamp = join(CHART_CRDS, 'recipe.json')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === recipe) return
  await rm(CHART_CRDS, { recursive: true, force: true })
  await mkdir(CHART_CRDS, { recursive: true })
  for (const [module, files] of Object.entries(MODULES)) {
    say(`go mod download ${module}`)
    const folder = moduleFolder(await run('go', ['mod', 'download', '-json', module]))
    for (const file of files) await copyFile(join(folder, file), join(CHART_CRDS, basename(file)))
  }
  await writeFile(stamp, recipe)
}

/** Go's answer is JSON with the module's folder in "Dir". */
function moduleFolder(answer: string): string {
  const parsed: unknown = JSON.parse(answer)
  const folder = typeof parsed === 'object' && parsed !== null && 'Dir' in parsed ? parsed.Dir : undefined
  if (typeof folder !== 'string') throw new Error(`go mod download names no folder: ${answer}`)
  return folder
}

if (import.meta.main) await fetchChartCrds((line) => console.log(`fetch-chart-crds: ${line}`))
