/**
 * The programs of a node (container runtime, network plugins, packet filters), from Debian's packages, unpacked into `.tools/node/`: nothing
 * is installed and no service starts. The suite is fixed, so that all machines test with the same ones.
 */
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TOOLS_DIR } from '../../../scripts/engine/files.ts'
import { unpackPackages } from '../../../scripts/engine/packages.ts'

const SUITE = 'bookworm'
const PACKAGES = [
  'busybox-static',
  'catatonit',
  'conntrack',
  'containerd',
  'containernetworking-plugins',
  'ipset',
  'iptables',
  'nftables',
  'runc',
  // What those load.
  'libbsd0',
  'libedit2',
  'libgmp10',
  'libip4tc2',
  'libip6tc2',
  'libipset13',
  'libjansson4',
  'libmd0',
  'libmnl0',
  'libnetfilter-conntrack3',
  'libnfnetlink0',
  'libnftables1',
  'libnftnl11',
  'libseccomp2',
  'libtinfo6',
  'libxtables12',
]

export const NODE_PACKAGES = join(TOOLS_DIR, 'node')
export const BUSYBOX = join(NODE_PACKAGES, 'bin/busybox')
/** A process that does nothing but reap and end: what holds a Pod's namespaces open. */
export const PAUSE = join(NODE_PACKAGES, 'usr/bin/catatonit')

/** Resolves once all are there. `say` gets one line a step. Rejects with a text that says what to do. */
export async function fetchNodePackages(say: (line: string) => void): Promise<void> {
  const recipe = [SUITE, process.arch, ...PACKAGES].join(' ')
  const stamp = join(NODE_PACKAGES, 'recipe.txt')
  if (existsSync(PAUSE) && (await readFile(stamp, 'utf8').catch(() => '')) === recipe) return
  await mkdir(TOOLS_DIR, { recursive: true })
  const workDir = join(TOOLS_DIR, `fetch-node-${process.pid}`)
  const otherwise = 'They are needed by `make cluster` and `make test-end-to-end` only, on Debian.'
  await unpackPackages({ suite: SUITE, packages: PACKAGES, folder: NODE_PACKAGES, workDir, otherwise }, say)
  await linkPrograms()
  await writeFile(stamp, recipe)
}

/** All programs in one folder, under the names they are called by: Debian makes those of iptables when it installs. */
async function linkPrograms(): Promise<void> {
  const links = join(NODE_PACKAGES, 'links')
  await mkdir(links)
  for (const folder of ['bin', 'usr/bin', 'usr/sbin'])
    for (const name of await readdir(join(NODE_PACKAGES, folder)))
      await symlink(join('..', folder, name), join(links, name)).catch(ignoreTwins)
  for (const name of ['iptables', 'iptables-save', 'iptables-restore', 'ip6tables', 'ip6tables-save', 'ip6tables-restore'])
    await symlink('../usr/sbin/xtables-nft-multi', join(links, name))
}

/** runc is in two folders, one a link to the other. */
function ignoreTwins(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error
}
