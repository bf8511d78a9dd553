/** The program that holds etcd and Kubernetes. `build.sh` says how it is made and where it is kept. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

/** Its path. Builds it the first time, for minutes, with a line of progress every 10 s on standard error. Rejects when that fails. */
export async function clusterProgram(): Promise<string> {
  const child = spawn('sh', [join(import.meta.dirname, 'build.sh')], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve))
  const [path, code] = await Promise.all([text(child.stdout), ended])
  if (code !== 0) throw new Error('There is no control plane to test with: see the lines of "control-plane:" above.')
  return path.trim()
}
