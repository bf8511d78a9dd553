/** A real Prometheus beside the cluster, in its network. In: jobs and rules. Out: what it says of its targets, its rules, and queries. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isFields } from '../../../operator/validate/problem.ts'
import { PROMETHEUS } from '../../../scripts/fetch-tools.ts'
import { listAt, valueAt } from '../../support/control-plane/api.ts'
import { Daemon } from '../../support/control-plane/daemon.ts'
import { eventually } from '../../support/eventually.ts'
import { closedPort } from '../../support/ports.ts'

export interface PrometheusOptions {
  /** A folder that somebody else removes. */
  readonly folder: string
  /** Entries of `scrape_configs`. */
  readonly jobs: readonly unknown[]
  /** `{groups: […]}` each. */
  readonly rules: readonly unknown[]
  /** Between evaluations of rules: "1s". */
  readonly evaluationInterval: string
}

export interface Sample {
  readonly labels: Readonly<Record<string, unknown>>
  readonly value: number
}

/** Owner: the caller; `close()` once. */
export class Prometheus {
  readonly url: string
  readonly #daemon: Daemon

  /** Resolves when it answers; rejects with what it wrote when it does not start. */
  static async start(options: PrometheusOptions): Promise<Prometheus> {
    const folder = mkdtempSync(join(options.folder, 'prometheus-'))
    mkdirSync(join(folder, 'data'))
    const ruleFiles = options.rules.map((rules, index) => written(join(folder, `rules-${index}.yaml`), rules))
    const config = {
      global: { evaluation_interval: options.evaluationInterval },
      scrape_configs: options.jobs,
      rule_files: ruleFiles,
    }
    const port = await closedPort()
    const args = [
      `--config.file=${written(join(folder, 'prometheus.yaml'), config)}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ]
    const prometheus = new Prometheus(`http://127.0.0.1:${port}`, new Daemon(PROMETHEUS, args, join(folder, 'log')))
    await eventually(() => prometheus.#answers())
    return prometheus
  }

  private constructor(url: string, daemon: Daemon) {
    this.url = url
    this.#daemon = daemon
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

/** JSON is YAML. */
function written(path: string, value: unknown): string {
  writeFileSync(path, JSON.stringify(value, null, 2))
  return path
}
