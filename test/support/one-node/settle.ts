/** Runs in the network of a node that has just begun: waits for its API server, installs DNS, and ends when the node is Ready and DNS answers. */
import { Resolver } from 'node:dns/promises'
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { listAt, textAt, valueAt } from '../control-plane/api.ts'
import { type Access, type Cluster, openCluster, SHARED_VARIABLE, usable } from '../control-plane/cluster.ts'
import { eventually } from '../eventually.ts'
import { DNS_ADDRESS } from './layout.ts'

const WITHIN_MS = 60_000
const QUERY_MS = 250

async function nodeReady(cluster: Cluster): Promise<void> {
  const node = await cluster.ask('GET', '/api/v1/nodes/node1')
  const ready = listAt(node, 'status', 'conditions').find((condition) => valueAt(condition, 'type') === 'Ready')
  if (ready === undefined || textAt(ready, 'status') !== 'True') throw new Error(`the node is not Ready: ${JSON.stringify(ready)}`)
}

/** By the Service's address: kube-proxy has to know it too. */
async function dnsAnswers(): Promise<void> {
  const resolver = new Resolver({ timeout: QUERY_MS, tries: 1 })
  resolver.setServers([DNS_ADDRESS])
  await resolver.resolve4('kubernetes.default.svc.cluster.local')
}

const accessFile = process.env[SHARED_VARIABLE] ?? ''
const access: Access = JSON.parse(readFileSync(accessFile, 'utf8'))
const cluster = openCluster(access)
await eventually(() => cluster.ask('GET', '/readyz'), WITHIN_MS)
writeFileSync(join(dirname(accessFile), 'api-ready'), '')
await cluster.apply(readFileSync(join(import.meta.dirname, 'config', 'dns.yaml'), 'utf8'))
await eventually(() => nodeReady(cluster), WITHIN_MS)
await eventually(() => usable(cluster, 'default'), WITHIN_MS)
await eventually(dnsAnswers, WITHIN_MS)
await cluster.close()
