import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fetchKubeTools, KUBECTL } from '../../../scripts/fetch-kube-tools.ts'

export interface KubectlOptions {
  readonly stdin?: string
  /** Instead of the administrator's. */
  readonly kubeconfig?: string
  /** Milliseconds until it is killed; 60 s if absent. */
  readonly timeoutMs?: number
}

export interface Ended {
  readonly stdout: string
  readonly stderr: string
  /** −1 when a signal ended it. */
  readonly code: number
}

const WITHIN_MS = 60_000

/** Runs the pinned kubectl to its end, whatever its exit code is. `home` is where it keeps its cache. */
export async function runKubectl(home: string, kubeconfig: string, args: readonly string[], options: KubectlOptions = {}): Promise<Ended> {
  await fetchKubeTools(() => undefined)
  const child = spawn(KUBECTL, args, {
    env: { PATH: process.env['PATH'], HOME: home, KUBECONFIG: options.kubeconfig ?? kubeconfig },
    timeout: options.timeoutMs ?? WITHIN_MS,
  })
  child.stdin.on('error', () => undefined) // it may end without reading
  child.stdin.end(options.stdin ?? '')
  const ended = new Promise<number>((resolve, reject) => child.once('error', reject).once('close', (code) => resolve(code ?? -1)))
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { stdout, stderr, code }
}
