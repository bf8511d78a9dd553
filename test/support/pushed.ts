/** What tests of the push share: files that a pod has mounted, operators and proxies that end with the test. */
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type ProxyOptions, type RunningProxy, startPushedProxy } from './proxy.ts'
import { jsonOf } from './routes.ts'
import { type Authority, type OperatorScript, ScriptedOperator, testAuthority } from './scripted-operator.ts'

export interface Pod {
  readonly authority: Authority
  /** Path of a file in its volumes: "ca.pem" and "token" are there. */
  file(name: string): string
  /** Replaces a file as a mounted volume does. */
  write(name: string, text: string): Promise<void>
  operator(t: TestContext, script?: OperatorScript & { readonly port?: number }): Promise<ScriptedOperator>
  /** `operators`: as --operator takes them. */
  proxy(t: TestContext, operators: string, options?: ProxyOptions): Promise<RunningProxy>
  close(): Promise<void>
}

export async function makePod(): Promise<Pod> {
  const authority = await testAuthority()
  const folder = await mkdtemp(join(tmpdir(), 'llama-swap-push-'))
  const file = (name: string): string => join(folder, name)
  const write = async (name: string, text: string): Promise<void> => {
    await writeFile(file(`${name}.new`), text)
    await rename(file(`${name}.new`), file(name))
  }
  await write('ca.pem', authority.cert)
  await write('token', 'first-token\n')
  return {
    authority,
    file,
    write,
    operator: async (t, script = {}) => {
      const operator = await ScriptedOperator.start(authority, script)
      t.after(() => operator.close())
      return operator
    },
    proxy: async (t, operators, { args = [], ...options } = {}) => {
      const files = ['--operator-ca', file('ca.pem'), '--operator-token', file('token')]
      const proxy = await startPushedProxy({ ...options, args: ['--operator', operators, ...files, ...args] })
      t.after(() => proxy.close())
      return proxy
    },
    close: () => rm(folder, { recursive: true, force: true }),
  }
}

export const readinessOf = async (proxy: RunningProxy): Promise<string> => (await fetch(`${proxy.metricsUrl}/readyz`)).text()

/** The first series of that name, or just this series. */
export async function metricOf(proxy: RunningProxy, name: string): Promise<number | undefined> {
  const text = await (await fetch(`${proxy.metricsUrl}/metrics`)).text()
  const line = text.split('\n').find((each) => each.startsWith(`${name} `) || each.startsWith(`${name}{`))
  return line === undefined ? undefined : Number(line.split(' ').at(-1))
}

/** What `/debug/table` says of the push. */
export async function pushOf(proxy: RunningProxy): Promise<Record<string, unknown>> {
  const push: unknown = Reflect.get(jsonOf(await (await fetch(`${proxy.adminUrl}/debug/table`)).text()), 'push')
  if (typeof push !== 'object' || push === null) throw new Error('/debug/table says nothing of the push')
  return { ...push }
}
