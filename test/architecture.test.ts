/**
 * Which folder may import which, and what a pure folder may not touch. A new folder needs a row here. Tests beside the sources may
 * import what they like; suites (`*.suite.ts`) are tests.
 */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { cruise, type ICruiseResult, type IDependency, type IModule } from 'dependency-cruiser'

interface Row {
  /** PURE: no module of Node, no clock, dice, process, console or promise. */
  readonly pure?: true
  /** Folders, and files beside them, that its files may import besides their own. */
  readonly imports: readonly string[]
  readonly packages?: readonly string[]
}

/** A key is a folder two deep, or a file beside such folders. */
const ROWS: Readonly<Record<string, Row>> = {
  'proxy/routing-table': { pure: true, imports: [], packages: ['@marcbachmann/cel-js'] },
  'proxy/errors.ts': { pure: true, imports: [] },
  'proxy/duration.ts': { pure: true, imports: [] },
  'proxy/version.ts': { imports: [] },
  'proxy/estimate': { pure: true, imports: [] },
  'proxy/decide': { pure: true, imports: ['proxy/estimate', 'proxy/routing-table', 'proxy/errors.ts'] },
  'proxy/dialects': { pure: true, imports: ['proxy/estimate', 'proxy/routing-table', 'proxy/errors.ts', 'proxy/decide'] },
  'proxy/engines': { pure: true, imports: ['proxy/routing-table'] },
  'proxy/probe': { imports: ['proxy/routing-table', 'proxy/engines'], packages: ['undici'] },
  'proxy/hold': { imports: ['proxy/routing-table'] },
  'proxy/limits': { pure: true, imports: ['proxy/routing-table', 'proxy/decide'] },
  'proxy/live': { imports: ['proxy/estimate', 'proxy/routing-table', 'proxy/decide', 'proxy/limits', 'proxy/probe'] },
  'proxy/forward': {
    imports: [
      'proxy/routing-table',
      'proxy/errors.ts',
      'proxy/decide',
      'proxy/dialects',
      'proxy/engines',
      'proxy/hold',
      'proxy/limits',
      'proxy/live',
    ],
    packages: ['undici'],
  },
  'proxy/serve': {
    imports: [
      'proxy/routing-table',
      'proxy/errors.ts',
      'proxy/duration.ts',
      'proxy/decide',
      'proxy/dialects',
      'proxy/hold',
      'proxy/live',
      'proxy/forward',
    ],
    packages: ['express', 'http-proxy-middleware'],
  },
  'proxy/account': {
    imports: [
      'proxy/routing-table',
      'proxy/errors.ts',
      'proxy/decide',
      'proxy/dialects',
      'proxy/hold',
      'proxy/limits',
      'proxy/live',
      'proxy/forward',
      'proxy/serve',
    ],
    packages: ['prom-client'],
  },
  'proxy/receive': { imports: ['proxy/routing-table', 'proxy/account'], packages: ['ws'] },
  'proxy/config.ts': { imports: ['proxy/account', 'proxy/duration.ts', 'proxy/routing-table', 'proxy/receive', 'proxy/serve'] },
  'proxy/process.ts': { imports: ['proxy/account', 'proxy/config.ts'] },
  'proxy/data-plane.ts': {
    imports: [
      'proxy/decide',
      'proxy/routing-table',
      'proxy/config.ts',
      'proxy/receive',
      'proxy/probe',
      'proxy/hold',
      'proxy/limits',
      'proxy/live',
      'proxy/forward',
      'proxy/serve',
      'proxy/account',
    ],
  },
  'proxy/main.ts': {
    imports: [
      'proxy/account',
      'proxy/config.ts',
      'proxy/limits',
      'proxy/process.ts',
      'proxy/data-plane.ts',
      'proxy/receive',
      'proxy/serve',
      'proxy/version.ts',
    ],
  },

  'operator/resources': { pure: true, imports: [] },
  'operator/validate': { pure: true, imports: ['operator/resources'], packages: ['ajv', '@marcbachmann/cel-js'] },
  'operator/translate': { pure: true, imports: ['operator/resources', 'proxy/routing-table'] },
  'operator/kube': { imports: ['operator/resources', 'operator/validate'], packages: ['@kubernetes/client-node', 'undici'] },
  'operator/push': {
    imports: [
      'proxy/routing-table',
      'operator/resources',
      'operator/serve',
      'operator/validate',
      'operator/kube',
      'operator/quota',
      'operator/queue',
    ],
    packages: ['ws', '@peculiar/x509', 'reflect-metadata'],
  },
  'operator/watch': {
    imports: ['operator/inject', 'operator/resources', 'operator/validate', 'operator/kube', 'operator/queue'],
    packages: ['js-yaml'],
  },
  'operator/queue': { imports: [] },
  'operator/lead': { imports: ['operator/validate', 'operator/kube', 'operator/queue'] },
  'operator/report': {
    imports: ['operator/resources', 'operator/validate', 'operator/translate', 'operator/kube', 'operator/queue', 'proxy/routing-table'],
  },
  'operator/quota': { pure: true, imports: ['proxy/routing-table'] },
  'operator/account': {
    imports: ['operator/admission', 'operator/inject', 'operator/kube', 'operator/queue', 'operator/watch', 'proxy/routing-table'],
    packages: ['prom-client'],
  },
  'operator/workloads': { pure: true, imports: [] },
  'operator/inject': { pure: true, imports: ['operator/resources', 'operator/translate', 'operator/validate'] },
  'operator/admission': {
    imports: [
      'operator/config.ts',
      'operator/inject',
      'operator/kube',
      'operator/queue',
      'operator/resources',
      'operator/serve',
      'operator/validate',
    ],
  },
  'operator/serve': { imports: [], packages: ['express'] },
  'operator/config.ts': { pure: true, imports: ['operator/kube', 'operator/resources'] },
  'operator/rights.ts': { imports: ['operator/kube', 'operator/queue', 'operator/workloads'] },
  'operator/term.ts': { imports: ['operator/config.ts', 'operator/lead', 'operator/push'] },
  'operator/main.ts': {
    imports: [
      'operator/account',
      'operator/admission',
      'operator/config.ts',
      'operator/inject',
      'operator/kube',
      'operator/lead',
      'operator/push',
      'operator/report',
      'operator/resources',
      'operator/rights.ts',
      'operator/serve',
      'operator/term.ts',
      'operator/translate',
      'operator/watch',
      'operator/workloads',
    ],
  },
}

/** The commands wire both halves; only they may. `make demo` is the one that needs what fetches and starts a real engine. */
const COMMANDS = /^(proxy|operator|cli)\//
const DEMO = /^(scripts|test\/support\/engine)\//

const isTest = (path: string): boolean => /[.](test|suite)[.]ts$/.test(path)

function placeOf(path: string): string {
  return path.split('/').slice(0, 2).join('/')
}

const ROOT = join(import.meta.dirname, '..')
const files = globSync('{operator,proxy,cli}/**/*.ts', { cwd: ROOT })
let cruised: ICruiseResult
let modules: readonly IModule[] = []

before(async () => {
  // Without @swc/core the parser reads nothing and says nothing: the first test below would fail.
  const { output } = await cruise(['operator', 'proxy', 'cli'], {
    baseDir: ROOT,
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    validate: true,
    ruleSet: { forbidden: [{ name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } }] },
  })
  if (typeof output === 'string') throw new Error(output)
  cruised = output
  modules = cruised.modules.filter(({ source }) => files.includes(source) && !isTest(source))
})

test('every source file was read', () => {
  const read = new Set(cruised.modules.map(({ source }) => source))
  assert.deepEqual(
    files.filter((file) => !read.has(file)),
    [],
  )
  assert.ok(cruised.summary.totalCruised >= files.length && files.length > 50)
  assert.ok(modules.some(({ dependencies }) => dependencies.length > 0))
})

test('nothing imports in a circle', () => {
  assert.deepEqual(
    cruised.summary.violations.map(({ from, to }) => `${from} → ${to}`),
    [],
  )
})

test('every folder of operator/ and proxy/ has a row', () => {
  const places = new Set(modules.map(({ source }) => placeOf(source)))
  assert.deepEqual(
    [...places].filter((place) => !place.startsWith('cli/') && ROWS[place] === undefined),
    [],
  )
})

test('imports go only where the rows allow', () => {
  const wrong = modules.flatMap(({ source, dependencies }) =>
    dependencies.filter((to) => !allowed(source, to)).map((to) => `${source} → ${to.resolved}`),
  )
  assert.deepEqual(wrong, [])
})

function allowed(source: string, to: IDependency): boolean {
  if (source.startsWith('cli/')) return isOutside(to) || COMMANDS.test(to.resolved) || (source === 'cli/demo.ts' && DEMO.test(to.resolved))
  const row = ROWS[placeOf(source)]
  if (row === undefined) return false
  if (to.coreModule) return row.pure !== true
  if (isOutside(to)) return row.packages?.some((name) => to.module === name || to.module.startsWith(`${name}/`)) ?? false
  return placeOf(to.resolved) === placeOf(source) || row.imports.includes(placeOf(to.resolved))
}

const isOutside = (to: IDependency): boolean => to.coreModule || to.resolved.includes('node_modules/')

const IMPURE =
  /\b(Date\.now|new Date\(\)|Math\.random|process\.|performance\.|console\.|await\b|async\b|fetch\(|set(Timeout|Interval|Immediate)\b|randomUUID)/

test('pure folders know no clock, dice, process, console or promise', () => {
  const pure = modules.map(({ source }) => source).filter((source) => ROWS[placeOf(source)]?.pure === true)
  assert.ok(pure.length > 20)
  assert.deepEqual(pure.flatMap(impureLines), [])
})

function impureLines(file: string): string[] {
  const lines = readFileSync(join(ROOT, file), 'utf8').split('\n')
  return lines.flatMap((line, i) =>
    !/^\s*(\/?\*|\/\/)/.test(line) && IMPURE.test(line) ? [`${file}:${i + 1} ${line.trim().slice(0, 100)}`] : [],
  )
}
