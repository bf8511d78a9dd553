/**
 * Lists what lies in the image's root, and which bytes: two layers. `base` is Node and its libraries, the same from one version of ours to
 * the next; `program` is ours. There is no shell, no package manager and no file that a program could run as another user.
 */
import { readdir, readFile, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import type { BundledPackage } from './bundled.ts'
import { neededBy, withoutSections } from './elf.ts'
import type { Parts } from './fetch.ts'
import { DEBIAN, NAMES, type Platform } from './parts.ts'
import { START } from './start.ts'
import type { Entry } from './tar.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const DOC_FOLDER = 'usr/share/doc/llama-swap'

/** What dpkg-less scanners look at to find out which packages there are: distroless images have it the same way. */
const STATUS_FOLDER = 'var/lib/dpkg/status.d'

const TEXTS: Readonly<Record<string, string>> = {
  'etc/passwd': 'root:x:0:0:root:/:/none\nnonroot:x:65532:65532:nonroot:/tmp:/none\n',
  'etc/group': 'root:x:0:\nnonroot:x:65532:\n',
  'etc/nsswitch.conf': 'hosts: files dns\n',
  'etc/os-release': `PRETTY_NAME="llama-swap on Debian ${DEBIAN.release} (without a distribution)"\nID=debian\nVERSION_ID="${DEBIAN.release}"\nVERSION_CODENAME=${DEBIAN.suite}\n`,
}

const file = (path: string, bytes: Uint8Array | string, mode?: number): Entry => ({
  path,
  kind: 'file',
  bytes: typeof bytes === 'string' ? Buffer.from(bytes) : bytes,
  ...(mode !== undefined && { mode }),
})

export async function baseFiles(platform: Platform, parts: Parts): Promise<readonly Entry[]> {
  const { loader } = NAMES[platform]
  const node = withoutSections(await readFile(join(parts.node, 'bin/node')))
  const top = loader.path.split('/')[1] ?? ''
  return [
    file('usr/bin/node', node, 0o755),
    ...(await libraries(platform, parts, node)),
    { path: loader.path, kind: 'link', target: loader.target },
    { path: top, kind: 'link', target: `usr/${top}` },
    ...Object.entries(TEXTS).map(([path, text]) => file(path, text)),
    { path: 'tmp', kind: 'folder', mode: 0o1777 },
    file('usr/share/doc/nodejs/copyright', await readFile(join(parts.node, 'LICENSE'))),
    ...(await licences(parts)),
    ...[...parts.controls].map(([name, control]) => file(`${STATUS_FOLDER}/${name}`, control)),
  ]
}

/** All that Node loads, and what that loads, by what their files say. Throws where no package has one. */
async function libraries(platform: Platform, { trees }: Parts, node: Uint8Array): Promise<readonly Entry[]> {
  const { triplet } = NAMES[platform]
  const found = new Map<string, Entry>()
  const wanted = [...neededBy(node)]
  for (const name of wanted) {
    if (found.has(name)) continue
    const bytes = await firstOf([...trees.values()].map((tree) => join(tree, 'usr/lib', triplet, name)))
    if (bytes === undefined) throw new Error(`no package in scripts/image/parts.ts has ${name} for ${platform}`)
    found.set(name, file(`usr/lib/${triplet}/${name}`, bytes, 0o755))
    wanted.push(...neededBy(bytes))
  }
  return [...found.values()]
}

async function firstOf(paths: readonly string[]): Promise<Uint8Array | undefined> {
  for (const path of paths) {
    const bytes = await readFile(path).catch(() => undefined)
    if (bytes !== undefined) return bytes
  }
  return undefined
}

/** Packages from one source share one text, by a link that Debian made. */
async function licences({ trees }: Parts): Promise<readonly Entry[]> {
  const texts: Entry[] = []
  for (const [name, tree] of trees) {
    const path = join(tree, 'usr/share/doc', name, 'copyright')
    const text = await realpath(path)
      .then((real) => readFile(real))
      .catch(() => undefined)
    texts.push(
      text === undefined
        ? { path: `usr/share/doc/${name}`, kind: 'link', target: 'gcc-14-base' }
        : file(`usr/share/doc/${name}/copyright`, text),
    )
  }
  return texts
}

/** The bundles have been made. `sbom`, `notices`: texts. */
export async function programFiles(sbom: string, notices: string): Promise<readonly Entry[]> {
  const read = (path: string): Promise<Buffer> => readFile(join(ROOT, path))
  return [
    file('app/start.mjs', START),
    file('app/cli.mjs', await read('dist/cli.mjs')),
    file('app/cli.mjs.LEGAL.txt', await read('dist/cli.mjs.LEGAL.txt')),
    file('app/proxy.mjs', await read('dist/proxy.mjs')),
    file('app/proxy.mjs.LEGAL.txt', await read('dist/proxy.mjs.LEGAL.txt')),
    file(`${DOC_FOLDER}/LICENSE`, await read('LICENSE')),
    file(`${DOC_FOLDER}/third-party-licenses.txt`, notices),
    file(`${DOC_FOLDER}/sbom.spdx.json`, sbom),
  ]
}

/** The licence texts of npm packages, one after the other; of a package without one, what it says its licence is. */
export async function noticesOf(packages: readonly BundledPackage[]): Promise<string> {
  const texts: string[] = []
  for (const { name, version, licence, folder } of packages) {
    const names = (await readdir(join(ROOT, folder))).filter((each) => /^(licen[cs]e|notice|copying)/i.test(each)).sort()
    const text = await Promise.all(names.map((each) => readFile(join(ROOT, folder, each), 'utf8')))
    texts.push(`==== ${name} ${version} (${licence})\n\n${text.join('\n').trim()}\n`)
  }
  return texts.join('\n')
}
