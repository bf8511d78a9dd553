/**
 * Scrape configurations of ServiceMonitors and PodMonitors, as the Prometheus operator makes them, with the same relabelling. In: objects as
 * the API server has them, and where discovery.ts has its files. Out: jobs for Prometheus' `scrape_configs`. PURE. What it cannot read is an
 * error: a field that it passed over would be one that no test has seen work.
 */
import { isFields } from '../../../operator/validate/problem.ts'
import { textAt, valueAt } from '../../support/control-plane/api.ts'

type Job = Readonly<Record<string, unknown>>
type Relabel = Readonly<Record<string, unknown>>

/** How a job finds its targets: which list of the API, and what the labels of discovery are called there. */
interface Discovery {
  readonly role: Role
  /** Of the object that the monitor's selector selects. */
  readonly selected: 'service' | 'pod'
  readonly portName: string
  readonly ownLabels: readonly Relabel[]
}

const copy = (from: string, to: string): Relabel => ({ source_labels: [`__meta_kubernetes_${from}`], target_label: to })
const OF_PODS: readonly Relabel[] = [copy('namespace', 'namespace'), copy('pod_name', 'pod'), copy('pod_container_name', 'container')]

const DISCOVERIES: Readonly<Record<string, Discovery>> = {
  ServiceMonitor: {
    role: 'endpointslice',
    selected: 'service',
    portName: '__meta_kubernetes_endpointslice_port_name',
    ownLabels: [...OF_PODS, copy('service_name', 'service'), copy('service_name', 'job')],
  },
  PodMonitor: { role: 'pod', selected: 'pod', portName: '__meta_kubernetes_pod_container_port_name', ownLabels: OF_PODS },
}

export type Role = 'endpointslice' | 'pod'

/** `files`: of the targets of a role. */
export function scrapeJobs(monitors: readonly unknown[], files: Readonly<Record<Role, string>>): readonly Job[] {
  return monitors.flatMap((monitor) => {
    const discovery = DISCOVERIES[textAt(monitor, 'kind')]
    if (discovery === undefined) throw new Error(`no monitor: ${textAt(monitor, 'kind')}`)
    const { selector, namespaceSelector, endpoints, podMetricsEndpoints, ...rest } = fields(valueAt(monitor, 'spec'))
    if (Object.keys(rest).length > 0) throw new Error(`${Object.keys(rest).join(', ')} cannot be read`)
    const namespace = textAt(monitor, 'metadata', 'namespace')
    const name = `${namespace}/${textAt(monitor, 'metadata', 'name')}`
    return listOf(endpoints ?? podMetricsEndpoints).map((endpoint, index) => ({
      job_name: `${textAt(monitor, 'kind')}/${name}/${index}`,
      file_sd_configs: [{ files: [files[discovery.role]] }],
      ...jobOf(
        endpoint,
        [...namespaceRelabels(namespaceSelector, namespace), ...selectorRelabels(selector, discovery.selected)],
        discovery,
        name,
      ),
    }))
  })
}

function jobOf(endpoint: unknown, selected: readonly Relabel[], discovery: Discovery, name: string): Job {
  const { port, path = '/metrics', interval, scheme = 'http', relabelings, metricRelabelings, ...rest } = fields(endpoint)
  if (Object.keys(rest).length > 0 || typeof port !== 'string') throw new Error(`cannot be read: ${JSON.stringify(endpoint)}`)
  return {
    metrics_path: path,
    scheme: String(scheme).toLowerCase(),
    ...(interval !== undefined && { scrape_interval: interval, scrape_timeout: interval }),
    relabel_configs: [
      ...selected,
      { action: 'keep', source_labels: [discovery.portName], regex: port },
      { action: 'drop', source_labels: ['__meta_kubernetes_pod_phase'], regex: '(Failed|Succeeded)' },
      { target_label: 'job', replacement: name },
      ...discovery.ownLabels,
      { target_label: 'endpoint', replacement: port },
      ...listOf(relabelings).map(snakeCased),
    ],
    metric_relabel_configs: listOf(metricRelabelings).map(snakeCased),
  }
}

/** What `kubernetes_sd_configs` would ask for by namespace. Monitors look in their own, unless they say where. */
function namespaceRelabels(selector: unknown, own: string): readonly Relabel[] {
  const { any, matchNames } = fields(selector ?? {})
  const names = Array.isArray(matchNames) ? matchNames : [own]
  return any === true ? [] : [{ action: 'keep', source_labels: ['__meta_kubernetes_namespace'], regex: names.join('|') }]
}

function selectorRelabels(selector: unknown, selected: Discovery['selected']): readonly Relabel[] {
  const { matchLabels = {}, ...rest } = fields(selector)
  if (Object.keys(rest).length > 0) throw new Error(`cannot be read: ${JSON.stringify(selector)}`)
  return Object.entries(fields(matchLabels)).map(([label, value]) => {
    const name = label.replaceAll(/[^a-zA-Z0-9_]/g, '_')
    const of = `__meta_kubernetes_${selected}`
    return {
      action: 'keep',
      source_labels: [`${of}_label_${name}`, `${of}_labelpresent_${name}`],
      regex: `(${String(value).replaceAll('.', '\\.')});true`,
    }
  })
}

/** {sourceLabels: […]} → {source_labels: […]} */
const snakeCased = (relabeling: unknown): Relabel =>
  Object.fromEntries(
    Object.entries(fields(relabeling)).map(([name, value]) => [name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value]),
  )

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

function fields(value: unknown): Readonly<Record<string, unknown>> {
  if (!isFields(value)) throw new Error(`cannot be read: ${JSON.stringify(value)}`)
  return value
}
