import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PodResource } from '../resources/snapshot.ts'
import type { Fields } from '../validate/problem.ts'
import { audit, optedIn, sidecarOf } from './audit.ts'
import { inject } from './inject.ts'
import { INJECT, SIDECAR_LABEL } from './names.ts'
import { patched, podOf, SETTINGS } from './pod.fixture.ts'

const NAMESPACES = new Map([
  ['apps', { [INJECT]: 'true' }],
  ['other', {}],
])
const OPTIONS = { namespaces: NAMESPACES, ownNamespace: 'llama-swap', version: 'v2' }

function podResource(raw: Fields, more: Partial<PodResource> = {}): PodResource {
  const sidecar = sidecarOf(raw)
  return {
    metadata: { namespace: 'apps', name: 'p', labels: {} },
    uid: 'u',
    serviceAccount: 'default',
    phase: 'Running',
    ready: true,
    terminating: false,
    ips: [],
    ports: [],
    ...(sidecar !== undefined && { sidecar }),
    ...more,
  }
}

const as = (raw: Fields, version: string): Fields => patched(raw, inject(raw, 'apps', SETTINGS, version))
const missedOf = (pod: PodResource, options: Parameters<typeof audit>[1] = OPTIONS): readonly string[] =>
  audit([pod], options).missed.map(({ pod: name, reason }) => `${name} ${reason}`)
const within = (namespace: string): Partial<PodResource> => ({ metadata: { namespace, name: 'p', labels: {} } })

test('Pods with a sidecar are counted by its age', () => {
  const pods = [
    as(podOf(), 'v2'),
    as(podOf(), 'v1'),
    podOf({ labels: { [SIDECAR_LABEL]: 'true' } }),
    podOf({ annotations: { [INJECT]: '' } }),
  ]
  const { counts, missed } = audit(
    pods.map((pod) => podResource(pod)),
    OPTIONS,
  )
  assert.deepEqual([counts, missed], [{ current: 1, outdated: 1, by_hand: 1 }, []])
})

test('a Pod that asks and has none is missed, and why it is', () => {
  assert.deepEqual(missedOf(podResource(podOf())), ['apps/p NotReached'])
  assert.deepEqual(missedOf(podResource(as(podOf({ spec: { hostNetwork: true } }), 'v2'))), ['apps/p HostNetwork'])
  assert.deepEqual(missedOf(podResource(podOf(), within('other'))), ['other/p NamespaceNotLabelled'])
  assert.deepEqual(missedOf(podResource(podOf(), within('kube-system'))), ['kube-system/p NamespaceExcluded'])
  assert.deepEqual(missedOf(podResource(podOf(), within('other')), { ...OPTIONS, namespaces: undefined }), ['other/p NotReached'])
  assert.deepEqual(missedOf(podResource(podOf({ annotations: { 'llamaswap.dev/not-injected': 'made up' } }))), ['apps/p NotReached'])
})

test('a Pod that is over, or about to be, is nobody to be told of', () => {
  for (const over of [{ phase: 'Succeeded' }, { phase: 'Failed' }, { terminating: true }] as const)
    assert.deepEqual(missedOf(podResource(podOf(), over)), [])
})

test('namespaces opt in by their label, but for those that never have sidecars', () => {
  assert.deepEqual(optedIn(new Map([...NAMESPACES, ['kube-system', { [INJECT]: 'true' }]])), ['apps'])
})
