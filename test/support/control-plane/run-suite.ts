/**
 * `node test/support/control-plane/run-suite.ts [FILE …]`: runs the tests of test/control-plane/, or those files, in a network of their own
 * with one control plane for all, with ClusterIPs that answer. Other arguments of `node --test` may stand before the files. The network is
 * the kernel's and goes with this process; the machine's own is not touched. Root makes it, or anyone where user namespaces are allowed.
 */
import { spawn, spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fetchChartCrds } from '../../../scripts/fetch-chart-crds.ts'
import { fetchKubeTools } from '../../../scripts/fetch-kube-tools.ts'
import { ROOT } from '../program.ts'
import { clusterProgram } from './build.ts'
import { SHARED_VARIABLE } from './cluster.ts'
import { startControlPlane } from './control-plane.ts'
import { NETWORK_VARIABLE } from './network.ts'
import { startServiceForwarder } from './service-forwarder.ts'

const STRICT = ['spec:stdout', './scripts/nothing-skipped.ts:stderr'].flatMap((one) => {
  const [reporter, destination] = one.split(':')
  return [`--test-reporter=${reporter}`, `--test-reporter-destination=${destination}`]
})

/** They mostly wait for the clock: more than there are cores. */
const FILES_AT_A_TIME = 2

/** What comes from outside is fetched first: from inside nothing is reachable. */
async function enterNetwork(): Promise<number> {
  const say = (line: string): void => console.log(`run-suite: ${line}`)
  await fetchKubeTools(say)
  await fetchChartCrds(say)
  await clusterProgram()
  const asRoot = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']
  const args = [...asRoot, '--net', '--', process.execPath, ...process.argv.slice(1)]
  return ended('unshare', args, { [NETWORK_VARIABLE]: '1' })
}

/** Loopback up, and every address of 10.0.0.0/8 an own one of it. A default route, as some programs ask for one; it leads nowhere. */
function prepareNetwork(): void {
  for (const args of ['link set lo up', 'route add local 10.0.0.0/8 dev lo', 'route add default dev lo']) {
    const { error, status, stderr } = spawnSync('ip', args.split(' '), { encoding: 'utf8' })
    if (error !== undefined) throw new Error(`ip cannot be started (package iproute2): ${error.message}`)
    if (status !== 0) throw new Error(`ip ${args}: ${stderr}`)
  }
}

async function runInside(args: readonly string[]): Promise<number> {
  prepareNetwork()
  const plane = await startControlPlane()
  const forwarder = startServiceForwarder(plane)
  const folder = mkdtempSync(join(tmpdir(), 'llama-swap-suite-'))
  const file = join(folder, 'control-plane.json')
  const { url, caFile, adminToken, kubeconfig, logs, serviceCidr } = plane
  writeFileSync(file, JSON.stringify({ url, caFile, adminToken, kubeconfig, logs, folder: plane.folder, serviceCidr }), { mode: 0o600 })
  try {
    return await ended(process.execPath, ['--test', `--test-concurrency=${FILES_AT_A_TIME}`, ...STRICT, ...filesOf(args)], {
      [SHARED_VARIABLE]: file,
    })
  } finally {
    await forwarder.close()
    await plane.stop()
    rmSync(folder, { recursive: true })
  }
}

function filesOf(args: readonly string[]): readonly string[] {
  if (args.some((arg) => arg.endsWith('.ts'))) return args
  return [...args, ...globSync('test/control-plane/**/*.test.ts', { cwd: ROOT }).sort()]
}

/** Its exit code; 1 when a signal ended it. Ctrl-C reaches it by itself, SIGTERM through us: it ends, and then we do, in order. */
async function ended(command: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const withUs = ['--pdeathsig', 'KILL', command, ...args]
  const child = spawn('setpriv', withUs, { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...env } })
  process.on('SIGINT', () => undefined)
  process.on('SIGTERM', () => void child.kill('SIGTERM'))
  child.once('error', reject).once('close', (code) => resolve(code ?? 1))
  return promise
}

process.exitCode = process.env[NETWORK_VARIABLE] === '1' ? await runInside(process.argv.slice(2)) : await enterNetwork()
