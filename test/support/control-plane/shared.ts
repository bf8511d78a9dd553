/**
 * One control plane for many tests, each in namespaces of its own. In a run of `run-suite.ts` it is the run's; else one is started for this
 * process, at the first call. Tests that stop an API server, or need one to themselves, start their own.
 */
import { readFileSync } from 'node:fs'
import { after } from 'node:test'
import { type Access, type Cluster, openCluster, SHARED_VARIABLE } from './cluster.ts'
import { startControlPlane } from './control-plane.ts'

let shared: Promise<{ readonly cluster: Cluster; end(): Promise<void> }> | undefined

export async function sharedControlPlane(): Promise<Cluster> {
  shared ??= open()
  return (await shared).cluster
}

async function open(): Promise<{ cluster: Cluster; end: () => Promise<void> }> {
  const file = process.env[SHARED_VARIABLE]
  if (file !== undefined) {
    const cluster = openCluster(parseAccess(readFileSync(file, 'utf8')))
    return { cluster, end: () => cluster.close() }
  }
  const plane = await startControlPlane()
  return { cluster: plane, end: () => plane.stop() }
}

after(async () => (await shared)?.end())

/** Written by `JSON.stringify` of one. */
function parseAccess(text: string): Access {
  return JSON.parse(text)
}
