/**
 * An application in a Pod: a Node program with the official SDKs, which knows the cluster's DNS and nothing of the test. In: the text of an ES
 * module. Out: what it prints, line by line, and its exit code.
 */
import { randomUUID } from 'node:crypto'
import { isFields } from '../../../operator/validate/problem.ts'
import { listAt, valueAt } from '../../support/control-plane/api.ts'
import type { Cluster } from '../../support/control-plane/cluster.ts'
import type { KubeObject } from '../../support/control-plane/objects.ts'
import { kubectl, stateOf } from './cluster.ts'
import { RESTRICTED_CONTAINER, RESTRICTED_POD } from './engine.ts'

export interface AppOptions {
  readonly namespace: string
  /** An ES module; `openai` and `@anthropic-ai/sdk` can be imported. */
  readonly script: string
  /** Further files in its folder, /app/script, by name. */
  readonly files?: Readonly<Record<string, string>>
  /** A name of its own if absent. */
  readonly name?: string
  readonly env?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  /** Fields of the Pod's spec besides or instead. */
  readonly spec?: KubeObject
  /** Until its end; a minute if absent. */
  readonly timeoutMs?: number
}

export interface AppEnded {
  /** What the container wrote. */
  readonly output: string
  readonly exitCode: number
}

export interface RunningApp {
  readonly name: string
  /** The first line that fits, written already or still to come. Rejects when the program ends without one. */
  line(fits: RegExp): Promise<string>
  /** Rejects after `timeoutMs`, with the state of the namespace. */
  readonly ended: Promise<AppEnded>
}

export const APP_IMAGE = 'localhost/app:1'
const WITHIN_MS = 60_000
/** Below a folder that has node_modules, so that imports are found. */
const SCRIPT_FOLDER = '/app/script'

/** ConfigMap and Pod; for stories that want the same in a Deployment or a Job: `template` is the Pod's metadata and spec. */
export function appObjects(options: AppOptions & { readonly name: string }): {
  readonly configMap: KubeObject
  readonly template: KubeObject
} {
  const { name, namespace, script, files = {}, env = {}, labels = {}, annotations = {}, spec = {} } = options
  const container = {
    name: 'app',
    image: APP_IMAGE,
    imagePullPolicy: 'IfNotPresent',
    command: ['node', `${SCRIPT_FOLDER}/main.mjs`],
    env: Object.entries(env).map(([variable, value]) => ({ name: variable, value })),
    resources: { requests: { cpu: '20m', memory: '64Mi' }, limits: { memory: '256Mi' } },
    securityContext: RESTRICTED_CONTAINER,
    volumeMounts: [{ name: 'script', mountPath: SCRIPT_FOLDER }],
  }
  return {
    configMap: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data: { 'main.mjs': script, ...files } },
    template: {
      metadata: { name, namespace, labels: { app: name, ...labels }, annotations },
      spec: {
        restartPolicy: 'Never',
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        terminationGracePeriodSeconds: 1,
        securityContext: RESTRICTED_POD,
        containers: [container],
        volumes: [{ name: 'script', configMap: { name } }],
        ...spec,
      },
    },
  }
}

/** Runs it to its end. */
export async function runApp(cluster: Cluster, options: AppOptions): Promise<AppEnded> {
  return (await startApp(cluster, options)).ended
}

/** Resolves once its container has been started. */
export async function startApp(cluster: Cluster, options: AppOptions): Promise<RunningApp> {
  const { namespace, name = `app-${randomUUID().slice(0, 8)}`, timeoutMs = WITHIN_MS } = options
  const { configMap, template } = appObjects({ ...options, name })
  const signal = AbortSignal.timeout(timeoutMs)
  const at = { cluster, namespace, name, signal }
  await cluster.apply([configMap, { apiVersion: 'v1', kind: 'Pod', ...template }])
  await containerState(at, (state) => state['waiting'] === undefined)
  const ended = end(at)
  ended.catch(() => undefined) // whoever awaits it is told
  return { name, ended, line: (fits) => lineOf(at, fits) }
}

interface At {
  readonly cluster: Cluster
  readonly namespace: string
  readonly name: string
  readonly signal: AbortSignal
}

async function end(at: At): Promise<AppEnded> {
  const state = await containerState(at, ({ terminated }) => terminated !== undefined)
  const output = await kubectl(at.cluster, ['-n', at.namespace, 'logs', at.name, '-c', 'app'])
  return { output, exitCode: Number(valueAt(state, 'terminated', 'exitCode')) }
}

/** Resolves with the state of the app's container once it fits. */
async function containerState(at: At, fits: (state: Readonly<Record<string, unknown>>) => boolean): Promise<unknown> {
  const path = `/api/v1/namespaces/${at.namespace}/pods?watch=1&fieldSelector=metadata.name%3D${at.name}`
  try {
    for await (const event of at.cluster.lines(path, at.signal)) {
      const state = stateOfContainer(event)
      if (isFields(state) && fits(state)) return state
    }
    throw new Error('the watch ended')
  } catch (error) {
    throw new Error(`the Pod ${at.name} did not get on\n${await stateOf(at.cluster, at.namespace)}`, { cause: error })
  }
}

function stateOfContainer(event: unknown): unknown {
  const statuses = listAt(event, 'object', 'status', 'containerStatuses')
  return valueAt(
    statuses.find((status) => valueAt(status, 'name') === 'app'),
    'state',
  )
}

async function lineOf({ cluster, namespace, name, signal }: At, fits: RegExp): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/pods/${name}/log?container=app&follow=true`
  for await (const line of cluster.lines(path, signal)) {
    const written = typeof line === 'string' ? line : JSON.stringify(line)
    if (fits.test(written)) return written
  }
  throw new Error(`the Pod ${name} ended without a line ${fits}\n${await kubectl(cluster, ['-n', namespace, 'logs', name, '-c', 'app'])}`)
}
