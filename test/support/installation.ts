/**
 * llama-swap in a cluster, as its users have it: operators under their own ServiceAccount with the rights that --print-rbac prints, proxies
 * with a pod's identity and nothing else, engines at Pods' addresses. Everything ends with the test.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Cluster } from './control-plane/cluster.ts'
import { freePorts } from './control-plane/free-ports.ts'
import type { Pod } from './control-plane/pods.ts'
import { eventually } from './eventually.ts'
import { type Program, ROOT, startProgram } from './program.ts'
import { type RunningProxy, startPushedProxy } from './proxy.ts'

export interface RunningOperator {
  readonly program: Program
  readonly pushUrl: string
  readonly metricsUrl: string
  readonly adminUrl: string
  /** Path of its token: who rewrites it rotates it. */
  readonly tokenFile: string
  close(): Promise<void>
}

export interface OperatorOptions {
  readonly name?: string
  readonly args?: readonly string[]
  /** Through which the API server is reached instead; PEM file of who signs it. */
  readonly via?: { readonly url: string; readonly caFile: string }
  readonly pushPort?: number
}

export interface GatewayOptions {
  readonly name?: string
  readonly args?: readonly string[]
  /** Of the operators; all that this installation has started if absent. */
  readonly operators?: string
  readonly auth?: 'Required' | 'Optional' | 'Off'
}

export interface Installation {
  /** Where the operator and the gateways run. */
  readonly namespace: string
  operator(t: TestContext, options?: OperatorOptions): Promise<RunningOperator>
  gateway(t: TestContext, options?: GatewayOptions): Promise<RunningProxy>
  /** A proxy in an app's pod. */
  sidecar(t: TestContext, namespace: string, options?: GatewayOptions): Promise<RunningProxy>
}

export interface InstallOptions {
  /** Absent: cluster-wide. */
  readonly namespaces?: readonly string[]
  /** Flags of every operator of it. */
  readonly args?: readonly string[]
}

const folders: string[] = []
process.once('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** Makes a namespace, the rights and the CRDs. */
export async function install(cluster: Cluster, { namespaces, args: shared = [] }: InstallOptions = {}): Promise<Installation> {
  await cluster.installCrds()
  const namespace = await cluster.namespace()
  const folder = mkdtempSync(join(tmpdir(), 'llama-swap-install-'))
  folders.push(folder)
  const scope = namespaces === undefined ? [] : ['--namespaces', namespaces.join(',')]
  await cluster.apply(printed(['--print-rbac', '--namespace', namespace, ...scope, ...shared]))
  const urls: string[] = []
  const caFile = join(folder, 'push-ca.crt')
  let proxies = 0
  const proxy = async (t: TestContext, mode: 'Gateway' | 'Sidecar', place: string, account: string, options: GatewayOptions) => {
    const pod = await cluster.makePod({ namespace: place, name: options.name ?? `proxy-${++proxies}`, serviceAccount: account })
    const files = await podFiles({ cluster, folder, namespace: place, serviceAccount: account, pod })
    await eventually(async () => writeFileSync(caFile, await bundleOf(cluster, namespace)), 20_000)
    const args = ['--operator', options.operators ?? urls.join(','), '--operator-ca', caFile, '--operator-token', files.pushToken]
    const more = ['--mode', mode, '--client-token', files.clientToken, ...(options.args ?? [])]
    const running = await startPushedProxy({ auth: options.auth ?? 'Off', args: [...args, ...more] })
    t.after(() => running.close())
    return running
  }
  return {
    namespace,
    operator: async (t, { name = 'operator-0', args = [], via, pushPort } = {}) => {
      const account = await cluster.serviceAccountKubeconfig({ namespace, name: 'llama-swap-operator' })
      const port = pushPort ?? (await freePorts(1))[0] ?? 0
      const pushUrl = `wss://127.0.0.1:${port}/push`
      const kubeconfig = via === undefined ? account.kubeconfig : redirected(folder, name, via, account.tokenFile)
      const program = startProgram({
        file: 'cli/main.ts',
        args: [
          'operator',
          `--kubeconfig=${kubeconfig}`,
          `--namespace=${namespace}`,
          ...scope,
          `--identity=${name}`,
          '--host=127.0.0.1',
          `--push-port=${port}`,
          '--metrics-port=0',
          '--admin-port=0',
          '--push-names=127.0.0.1,localhost',
          `--address=${pushUrl}`,
          `--gateway-service-accounts=${namespace}/llama-swap-gateway`,
          ...shared,
          ...args,
        ],
      })
      t.after(async () => {
        await program.close(8000)
        if (!t.passed) t.diagnostic(`${name} wrote:\n${program.output()}`)
      })
      const line = await program.line(({ msg }) => msg === 'listening')
      if (!urls.includes(pushUrl)) urls.push(pushUrl)
      const at = (which: string): string => `http://127.0.0.1:${String(line[which])}`
      return {
        program,
        pushUrl,
        metricsUrl: at('metrics'),
        adminUrl: at('admin'),
        tokenFile: account.tokenFile,
        close: () => program.close(8000),
      }
    },
    gateway: (t, options = {}) => proxy(t, 'Gateway', namespace, 'llama-swap-gateway', options),
    sidecar: (t, place, options = {}) => proxy(t, 'Sidecar', place, 'app', options),
  }
}

/** What `llama-swap operator` prints. */
export function printed(args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, 'cli/main.ts'), 'operator', ...args], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return stdout
}

function redirected(folder: string, name: string, via: { url: string; caFile: string }, tokenFile: string): string {
  const path = join(folder, `${name}.kubeconfig`)
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server: via.url, 'certificate-authority': via.caFile } }],
    users: [{ name: 'user', user: { 'auth-provider': { name: 'tokenFile', config: { tokenFile } } } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'user' } }],
    'current-context': 'test',
  }
  writeFileSync(path, JSON.stringify(config))
  return path
}

interface PodFiles {
  readonly cluster: Cluster
  readonly folder: string
  readonly namespace: string
  readonly serviceAccount: string
  readonly pod: Pod
}

/** The two projected tokens, as a kubelet mounts them. */
async function podFiles({
  cluster,
  folder,
  namespace,
  serviceAccount,
  pod,
}: PodFiles): Promise<{ pushToken: string; clientToken: string }> {
  const write = async (audience: string): Promise<string> => {
    const path = join(folder, `${pod.uid}-${audience}`)
    writeFileSync(path, await cluster.token({ namespace, serviceAccount, audience, pod: pod.name }))
    return path
  }
  return { pushToken: await write('llama-swap-push'), clientToken: await write('llama-swap-client') }
}

async function bundleOf(cluster: Cluster, namespace: string): Promise<string> {
  const map = await cluster.ask('GET', `/api/v1/namespaces/${namespace}/configmaps/llama-swap-push-ca`)
  const bundle: unknown = Reflect.get(Reflect.get(Object(map), 'data'), 'ca.crt')
  if (typeof bundle !== 'string') throw new Error('the bundle is not there yet')
  return bundle
}

export interface PodEngine {
  readonly server: Server
  /** Requests for completions so far. */
  readonly served: () => number
  close(): Promise<void>
}

export interface PodEngineOptions {
  /** Milliseconds between two events of a stream. */
  readonly everyMs?: number
  readonly events?: number
  readonly says?: string
}

/** A well-behaved engine at a Pod's address: health, model list, completions whole and streamed. */
export async function engineAt(t: TestContext, ip: string, port: number, options: PodEngineOptions = {}): Promise<PodEngine> {
  const { everyMs = 0, events = 3, says = ip } = options
  let served = 0
  const server = createServer((request, response) => {
    const { url = '' } = request
    if (url.endsWith('/models'))
      return void response.setHeader('content-type', 'application/json').end('{"object":"list","data":[{"id":"m","object":"model"}]}')
    if (request.method !== 'POST') return void response.end('ok')
    let body = ''
    request.on('data', (part: Buffer) => {
      body += part.toString()
    })
    request.on('end', () => {
      served += 1
      if (!body.includes('"stream":true')) {
        const message = { role: 'assistant', content: says }
        const whole = { id: 'c', object: 'chat.completion', model: 'm', choices: [{ index: 0, message, finish_reason: 'stop' }] }
        return void response.setHeader('content-type', 'application/json').end(JSON.stringify(whole))
      }
      response.setHeader('content-type', 'text/event-stream')
      const event = (delta: unknown, finish: string | null): string =>
        `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model: 'm', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`
      let sent = 0
      const next = (): void => {
        if (response.destroyed) return
        if (sent++ < events) {
          response.write(event({ content: says }, null))
          setTimeout(next, everyMs)
        } else response.end(`${event({}, 'stop')}data: [DONE]\n\n`)
      }
      next()
    })
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, ip, resolve))
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  t.after(close)
  return { server, served: () => served, close }
}
