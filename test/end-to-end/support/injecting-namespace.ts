import assert from 'node:assert/strict'
import { listAt } from '../../support/control-plane/api.ts'
import type { Cluster } from '../../support/control-plane/cluster.ts'
import { eventually } from '../../support/eventually.ts'
import { appObjects } from './app.ts'
import { restrictedNamespace } from './cluster.ts'

/** What a Pod says to get a sidecar there. */
export const ASKS = { 'llamaswap.dev/inject': 'true' } as const
const WITHIN_MS = 60_000

/** A namespace as `restrictedNamespace` makes one, whose Pods get sidecars when they ask: resolves when one would, as the webhook fails open. */
export async function injectingNamespace(cluster: Cluster, namespace: string): Promise<void> {
  await restrictedNamespace(cluster, namespace, ASKS)
  const { template } = appObjects({ name: 'probe', namespace, script: '', annotations: ASKS })
  const probe = { apiVersion: 'v1', kind: 'Pod', ...template }
  await eventually(async () => {
    const made = await cluster.ask('POST', `/api/v1/namespaces/${namespace}/pods?dryRun=All`, probe)
    assert.equal(listAt(made, 'spec', 'initContainers').length, 1, 'no sidecar is injected')
  }, WITHIN_MS)
}
