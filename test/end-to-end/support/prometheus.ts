/** A real Prometheus beside the cluster, in its network. In: jobs and rules. Out: what it says of its targets, its rules, and queries. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isFields } from '../../../operator/validate/problem.ts'
import { PROMETHEUS } from '../../../scripts/fetch-tools.ts'
import { listAt, valueAt } from '../../support/control-plane/api.ts'
import { Daemon } from '../../support/control-plane/daemon.ts'
import { eventually } from '../../support/eventually.ts'
import { closedPort } from '../../support/ports.ts'

export interface PrometheusWork {
  /** Entries of `scrape_configs`. */
  readonly jobs: readonly unknown[]
  /** `{groups: […]}` each. */
  readonly rules?: readonly unknown[]
}

export interface Sample {
  readonly labels: Readonly<Record<string, unknown>>
  readonly value: number
}

/** Owner: the caller; `close()` once. */
export class Prometheus {
  readonly url: string
  readonly #folder: string
  readonly #daemon: Daemon

  /** It has nothing to do yet. Resolves when it answers; rejects with what it wrote when it does not start. `parent`: removed by its owner. */
  static async start(parent: string): Promise<Prometheus> {
    const folder = mkdtempSync(join(parent, 'prometheus-'))
    writeConfig(folder, { jobs: [] })
    const port = await closedPort()
    const args = [
      `--config.file=${join(folder, CONFIG)}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--web.enable-lifecycle',
    ]
    const prometheus = new Prometheus(port, folder, new Daemon(PROMETHEUS, args, join(folder, 'log')))
    await eventually(() => prometheus.#answers())
    return prometheus
  }

  private constructor(port: number, folder: string, daemon: Daemon) {
    this.url = `http://127.0.0.1:${port}`
    this.#folder = folder
    this.#daemon = daemon
  }

  /** Instead of what it did. Rejects with its words when it does not take it. */
  async work(work: PrometheusWork): Promise<void> {
    writeConfig(this.#folder, work)
    const answer = await fetch(`${this.url}/-/reload`, { method: 'POST' })
    if (answer.status !== 200) throw new Error(`${await answer.text()}${this.#daemon.lastWords()}`)
  }

  /** Samples of an instant query, now. Rejects with Prometheus' words when it is none. */
  async query(query: string): Promise<readonly Sample[]> {
    const found = await this.ask(`/api/v1/query?query=${encodeURIComponent(query)}`)
    return listAt(found, 'result').map((one) => {
      const labels = valueAt(one, 'metric')
      return { labels: isFields(labels) ? labels : {}, value: Number(valueAt(one, 'value', 1)) }
    })
  }

  /** `data` of an answer of its API. */
  async ask(path: string): Promise<unknown> {
    const answer: unknown = await (await fetch(this.url + path)).json()
    if (valueAt(answer, 'status') !== 'success') throw new Error(`${path}: ${JSON.stringify(answer)}`)
    return valueAt(answer, 'data')
  }

  async close(): Promise<void> {
    await this.#daemon.stop(5000)
  }

  async #answers(): Promise<void> {
    if (!this.#daemon.running) throw new Error(`Prometheus has ended: ${this.#daemon.lastWords()}`)
    const { status } = await fetch(`${this.url}/-/ready`)
    if (status !== 200) throw new Error(`Prometheus is not ready: ${status}`)
  }
}

const CONFIG = 'prometheus.yaml'
/** Between evaluations of rules. */
const EVALUATION_INTERVAL = '1s'

/** JSON is YAML. */
function writeConfig(folder: string, { jobs, rules = [] }: PrometheusWork): void {
  const write = (name: string, value: unknown): string => {
    writeFileSync(join(folder, name), JSON.stringify(value, null, 2))
    return name
  }
  const rule_files = rules.map((groups, index) => write(`rules-${index}.yaml`, groups))
  write(CONFIG, { global: { evaluation_interval: EVALUATION_INTERVAL }, scrape_configs: jobs, rule_files })
}
