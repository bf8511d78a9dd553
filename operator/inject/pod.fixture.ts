/** Pods for tests, and what the API server does with a patch. */
import { type Fields, isFields } from '../validate/problem.ts'
import type { Verdict } from './inject.ts'
import { INJECT, type SidecarSettings } from './names.ts'

export const SETTINGS: SidecarSettings = {
  image: 'registry.example/llama-swap:1',
  mode: 'Native',
  operatorUrl: 'wss://llama-swap-operator.llama-swap.svc:8443',
  namespace: 'llama-swap',
}

interface PodLines {
  readonly annotations?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly spec?: Fields
  readonly containers?: readonly Fields[]
}

/** It asks for a sidecar. */
export const podOf = ({
  annotations = {},
  labels = {},
  spec = {},
  containers = [{ name: 'app', image: 'app' }],
}: PodLines = {}): Fields => ({
  metadata: { name: 'p', labels, annotations: { [INJECT]: 'true', ...annotations } },
  spec: { containers, ...spec },
})

/** A copy with the patch applied. Throws where a way leads nowhere, as the API server does. */
export function patched(pod: Fields, { patch }: Pick<Verdict, 'patch'>): Fields {
  const copy = structuredClone(pod)
  for (const operation of patch) {
    const parts = operation.path
      .slice(1)
      .split('/')
      .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    const last = parts.pop() ?? ''
    const holder = parts.reduce<unknown>((at, part) => (Array.isArray(at) ? at[Number(part)] : isFields(at) ? at[part] : undefined), copy)
    if (Array.isArray(holder) && operation.op === 'add') holder.splice(last === '-' ? holder.length : Number(last), 0, operation.value)
    else if (isFields(holder) && operation.op === 'add') holder[last] = operation.value
    else if (isFields(holder) && last in holder) delete holder[last]
    else throw new Error(`${operation.path} leads nowhere`)
  }
  return copy
}
