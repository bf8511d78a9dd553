/**
 * Charts as helm renders them. In: a chart, values, which helm. Out: objects, by kind, namespace and name, so that two helms compare. The
 * helms are fetched before (`make test-charts` does it); what they write lies below `.tools/`.
 */
import { execFile } from 'node:child_process'
import { globSync } from 'node:fs'
import { basename, join } from 'node:path'
import { loadAll } from 'js-yaml'
import { HELMS } from '../../scripts/fetch-kube-tools.ts'
import { textAt, valueAt } from '../support/control-plane/api.ts'
import { ROOT } from '../support/program.ts'

export type HelmVersion = keyof typeof HELMS
export const HELM_VERSIONS: readonly HelmVersion[] = [3, 4]
export const CHART = join(ROOT, 'charts', 'llama-swap')
export const CRD_CHART = join(ROOT, 'charts', 'llama-swap-crds')
/** Where tests install, and the release's name; the files in ci/ speak of it. */
export const NAMESPACE = 'llama-swap'

/** Names of the files in ci/ without "-values.yaml". */
export const CI_CASES: readonly string[] = globSync('*-values.yaml', { cwd: join(CHART, 'ci') })
  .map((file) => basename(file, '-values.yaml'))
  .sort()

export const ciFile = (name: string): string => join(CHART, 'ci', `${name}-values.yaml`)

export interface HelmEnded {
  readonly stdout: string
  readonly stderr: string
  readonly code: number
}

/** Runs it to its end, whatever its exit code is. `env` may name a KUBECONFIG. */
export function helm(version: HelmVersion, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<HelmEnded> {
  const home = join(ROOT, '.tools', 'helm-home')
  const homes = { HELM_CACHE_HOME: home, HELM_CONFIG_HOME: home, HELM_DATA_HOME: home, HOME: home }
  return new Promise((resolve) => {
    execFile(HELMS[version], args, { env: { ...homes, ...env }, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) =>
      resolve({ stdout, stderr, code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1 }),
    )
  })
}

export interface Rendering {
  readonly version?: HelmVersion
  readonly chart?: string
  readonly namespace?: string
  /** Files of values. */
  readonly files?: readonly string[]
  /** "gateway.replicas=3" */
  readonly set?: readonly string[]
}

/** What helm writes. Rejects with what it says when it refuses. */
export async function manifestsOf({ version = 4, chart = CHART, namespace = NAMESPACE, files = [], set = [] }: Rendering): Promise<string> {
  const values = [...files.flatMap((file) => ['--values', file]), ...set.flatMap((one) => ['--set', one])]
  const { stdout, stderr, code } = await helm(version, ['template', 'llama-swap', chart, '--namespace', namespace, ...values])
  if (code !== 0) throw new Error(stderr)
  return stdout
}

export async function render(rendering: Rendering): Promise<readonly unknown[]> {
  const objects = loadAll(await manifestsOf(rendering)).filter((object) => object !== null && object !== undefined)
  return objects.sort((a, b) => nameOf(a).localeCompare(nameOf(b)))
}

/** "Deployment llama-swap/llama-swap-gateway"; of one without a namespace "ClusterRole /name". */
export function nameOf(object: unknown): string {
  const namespace = valueAt(object, 'metadata', 'namespace')
  return `${textAt(object, 'kind')} ${typeof namespace === 'string' ? namespace : ''}/${textAt(object, 'metadata', 'name')}`
}

export const kindOf = (object: unknown): string => textAt(object, 'kind')

/** Throws when there is none. */
export function objectNamed(objects: readonly unknown[], name: string): unknown {
  const found = objects.find((object) => nameOf(object) === name)
  if (found === undefined) throw new Error(`no ${name} among ${objects.map(nameOf).join(', ')}`)
  return found
}
