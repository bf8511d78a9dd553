/** Questions to a proxy by the official Python SDKs. In: cases. Out: what each came to, as the SDK raised or read it. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fetchPythonSdks, PYTHON } from '../../../scripts/fetch-python-sdks.ts'

export interface PythonCase {
  readonly sdk: 'openai' | 'anthropic'
  readonly model: string
  /** Another proxy than the rest. */
  readonly url?: string
  readonly stream?: boolean
  readonly count?: boolean
  readonly prompt?: string
  readonly max_tokens?: number
  readonly key?: string
  /** The SDK's own; 0 if absent. */
  readonly retries?: number
  readonly headers?: Readonly<Record<string, string>>
}

export type PythonOutcome = Readonly<Record<string, unknown>>

/** One process for all cases, one after the other. Fetches the SDKs first where they are not there. */
export async function askInPython(url: string, cases: readonly PythonCase[]): Promise<readonly PythonOutcome[]> {
  await fetchPythonSdks(() => {})
  const child = spawn(PYTHON, [join(import.meta.dirname, 'client.py')], { stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin.end(JSON.stringify({ url, cases }))
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
  const outcomes: unknown = out === '' ? undefined : JSON.parse(out)
  if (!Array.isArray(outcomes)) throw new Error(`the Python SDKs said: ${err}`)
  return outcomes.map((one: object) => ({ ...one }))
}
