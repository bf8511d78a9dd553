/**
 * `llama-swap standalone`, wiring only: operator and proxy in one process. YAML → watch → translate → the proxy's receiver; without
 * --config, the engines found on this host, else two simulated ones. It adds no second way of doing anything.
 */
import { type Resources, STANDALONE_SETTINGS } from '../operator/resources/snapshot.ts'
import type { Problem } from '../operator/translate/problems.ts'
import { translate } from '../operator/translate/translate.ts'
import { FolderSource } from '../operator/watch/folder.ts'
import { holdObjects } from '../operator/watch/held-objects.ts'
import { makeResources } from '../operator/watch/make-resources.ts'
import { type LoadProblem, loadDocuments } from '../operator/watch/yaml.ts'
import { createLogger, type Logger } from '../proxy/account/log.ts'
import { helpLines, type ProxyConfig, proxyConfig, readFlags, STANDALONE_FLAGS, UsageError } from '../proxy/config.ts'
import { DataPlane } from '../proxy/data-plane.ts'
import { runUntilSignal } from '../proxy/process.ts'
import { steadyNow } from '../proxy/receive/push-session.ts'
import type { AuthMode } from '../proxy/serve/authenticate.ts'
import { VERSION } from '../proxy/version.ts'
import { DayFile, defaultStateFile } from './day-file.ts'
import { discoverEngines, ENGINE_PORTS, type LlamaModelManifest, toLlamaModels } from './discover.ts'
import { type SimulatedEngines, startSimulatedEngines } from './simulated.ts'

type Env = Readonly<Record<string, string | undefined>>

const HELP = [
  'llama-swap standalone [--config FILE|DIR]',
  '',
  'Operator and proxy in one process. Each flag has a twin in the environment: --port is LLAMA_SWAP_PORT.',
  '',
  ...helpLines(STANDALONE_FLAGS),
]

export async function runStandalone(argv: readonly string[], env: Env): Promise<number> {
  const { values, rest } = readFlags(STANDALONE_FLAGS, argv, env)
  if (values.has('help')) {
    process.stdout.write(`${HELP.join('\n')}\n`)
    return 0
  }
  if (rest.length > 0) throw new UsageError(`"${rest[0]}" is no flag of standalone. Use --help to see the flags.`)
  const config = proxyConfig(values)
  const logger = createLogger({ write: (line) => process.stdout.write(line), level: config.logLevel, now: Date.now })
  const standalone = new Standalone({ config, logger, env, path: values.get('config'), stateFile: values.get('state-file') })
  return runUntilSignal({ start: () => standalone.start(), close: () => standalone.close(), logger })
}

interface Options {
  readonly config: ProxyConfig
  readonly logger: Logger
  readonly env: Env
  readonly path: string | undefined
  readonly stateFile: string | undefined
}

class Standalone {
  readonly #options: Options
  #source: FolderSource | undefined
  #proxy: DataPlane | undefined
  #simulated: SimulatedEngines | undefined
  #days: DayFile | undefined
  #seq = 0
  #state: Readonly<Record<string, unknown>> = {}
  #before: ReadonlySet<string> = new Set()

  constructor(options: Options) {
    this.#options = options
  }

  async start(): Promise<void> {
    const { path, env, logger } = this.#options
    if (path === undefined) this.#take(await this.#found(), [])
    else {
      const onSnapshot = (resources: Resources, problems: readonly LoadProblem[]): void => this.#take(resources, problems)
      const onError = (error: unknown): void =>
        logger.error('the configuration cannot be read; what it said last still holds', { path, error: String(error) })
      this.#source = new FolderSource({ path, env, settings: STANDALONE_SETTINGS, onSnapshot, onError })
      await this.#source.start()
    }
    await this.#keepDays()
    const ports = await this.#proxy?.start().catch(async (error: unknown) => {
      await this.#simulated?.close()
      throw error
    })
    logger.info('listening', { ...ports })
    if (ports !== undefined) this.#greet(ports.inference)
  }

  async close(): Promise<void> {
    this.#source?.close()
    await this.#proxy?.close()
    await this.#days?.close()
    await this.#simulated?.close()
  }

  async #keepDays(): Promise<void> {
    const { path = '', stateFile, env, logger } = this.#options
    if (this.#proxy === undefined) return
    const { limits } = this.#proxy
    this.#days = new DayFile({ path: stateFile ?? defaultStateFile(env, path), limits, logger, now: steadyNow })
    await this.#days.start()
  }

  /** No --config: what runs on this host, else two engines of our own. */
  async #found(): Promise<Resources> {
    const found = await discoverEngines()
    for (const { url, models } of found) process.stderr.write(`Found an engine at ${url}: ${models.join(', ')}\n`)
    if (found.length > 0) return resourcesOf(toLlamaModels(found), this.#options.env)
    this.#simulated = await startSimulatedEngines()
    const urls = this.#simulated.engines.map(({ url }) => url).join(' and ')
    process.stderr.write(
      `No engine found on this host (looked at ports ${ENGINE_PORTS.join(', ')}): two SIMULATED engines run at ${urls}. Give --config FILE to use your own.\n`,
    )
    return resourcesOf(toLlamaModels(this.#simulated.engines, true), this.#options.env)
  }

  #take(resources: Resources, fileProblems: readonly LoadProblem[]): void {
    const { table, problems, statuses } = translate(resources, { epoch: 0, seq: ++this.#seq })
    this.#proxy ??= this.#makeProxy(resources)
    const shown = [...fileProblems.map(fileProblem), ...problems.map((problem) => this.#located(problem))]
    this.#state = { problems: shown, statuses }
    this.#logNew(shown)
    this.#proxy.receiver.take(table)
  }

  #makeProxy(resources: Resources): DataPlane {
    const { config, logger, path } = this.#options
    const source = (): Readonly<Record<string, unknown>> => ({ from: path ?? 'engines found on this host', ...this.#state })
    return new DataPlane({
      config,
      auth: config.auth ?? defaultAuth(config, resources),
      logger,
      output: process.stdout,
      version: VERSION,
      source,
    })
  }

  /** Each mistake is told once, when it appears. */
  #logNew(problems: readonly ShownProblem[]): void {
    const now = new Set<string>()
    for (const problem of problems) {
      const line = JSON.stringify(problem)
      now.add(line)
      if (!this.#before.has(line)) this.#options.logger.error('problem in the configuration', { ...problem })
    }
    this.#before = now
  }

  #located({ code, object, at, message }: Problem): ShownProblem {
    const place = this.#source?.whereIs(object, at)
    return { object, path: at, message, code, ...(place !== undefined && { file: place.file, line: place.line }) }
  }

  #greet(port: number): void {
    const url = `${this.#options.config.tls === undefined ? 'http' : 'https'}://localhost:${port}/v1`
    process.stderr.write(
      `llama-swap serves ${url}\nTry: curl -N ${url}/chat/completions -H 'Content-Type: application/json' -d '{"model":"auto","messages":[{"role":"user","content":"Analyze this dataset"}],"stream":true}'\n`,
    )
  }
}

interface ShownProblem {
  readonly object?: string
  readonly code?: string
  readonly file?: string
  readonly line?: number
  readonly path: string
  readonly message: string
}

const fileProblem = ({ file, line, path, message, object }: LoadProblem): ShownProblem => ({
  file,
  line,
  path,
  message,
  ...(object !== undefined && { object }),
})

/** Off on loopback while there are no keys at start, else Required. Decided once: adding or losing keys later never opens the port. */
function defaultAuth({ host }: ProxyConfig, { clientKeys }: Resources): AuthMode {
  const loopback = host === 'localhost' || host === '::1' || host.startsWith('127.')
  return loopback && clientKeys.size === 0 ? 'Off' : 'Required'
}

/** Manifests made here go the way of all YAML: the same schema, defaults and rules. */
function resourcesOf(manifests: readonly LlamaModelManifest[], env: Env): Resources {
  const file = 'engines found on this host'
  const text = manifests.map((manifest) => JSON.stringify(manifest)).join('\n---\n')
  const { objects } = holdObjects(new Map(), [{ file, ...loadDocuments(file, text) }])
  return makeResources(objects, { env, settings: STANDALONE_SETTINGS }).resources
}
