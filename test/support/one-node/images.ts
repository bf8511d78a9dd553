/**
 * The images of every node besides our own: what a Pod's sandbox runs in, DNS, a real engine with its model, an app with the official SDKs.
 * In: what the fetch programs put into `.tools/`, and CoreDNS. Out: layers, and how they are run. No image comes from a registry.
 */
import { readdir, readFile, readlink, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ENGINE_DIR, SMALL_MODEL_FILE } from '../../../scripts/engine/files.ts'
import { fetchParts } from '../../../scripts/image/fetch.ts'
import { baseFiles } from '../../../scripts/image/files.ts'
import type { Layer } from '../../../scripts/image/oci.ts'
import { type Entry, tarOf } from '../../../scripts/image/tar.ts'
import { ROOT } from '../program.ts'
import { BUSYBOX, PAUSE } from './packages.ts'

export interface NodeImage {
  readonly name: string
  readonly settings: Readonly<Record<string, unknown>>
  /** With our own image. */
  readonly sharesLayers?: true
  layers(say: (line: string) => void): Promise<readonly Layer[]>
}

/** What the app may import. */
const SDKS = ['openai', '@anthropic-ai/sdk']
const BACKENDS = 'usr/lib/x86_64-linux-gnu/ggml/backends0'
const PASSWD = 'root:x:0:0:root:/:/bin/sh\nuser:x:1000:1000:user:/tmp:/bin/sh\n'
/** busybox does what its name says. */
const COMMANDS = ['sh', 'cat', 'ls', 'sleep', 'kill', 'env', 'id', 'ps', 'nc', 'test', 'touch']

/** `coredns`: path of the program. */
export function nodeImages(coredns: string): readonly NodeImage[] {
  return [
    { name: 'localhost/pause:1', settings: { Entrypoint: ['/pause', '-P'] }, layers: () => programLayer('pause', PAUSE) },
    { name: 'localhost/coredns:1', settings: { Entrypoint: ['/coredns'] }, layers: () => programLayer('coredns', coredns) },
    {
      name: 'localhost/llama-server:1',
      settings: {
        User: '1000:1000',
        Entrypoint: ['/usr/bin/llama-server'],
        // It looks for its CPU backends in its working directory.
        WorkingDir: `/${BACKENDS}`,
        Env: ['PATH=/bin:/usr/bin', 'HOME=/tmp', 'LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu/llama', 'LLAMA_ARG_HOST=0.0.0.0'],
      },
      layers: engineLayers,
    },
    {
      name: 'localhost/app:1',
      sharesLayers: true,
      settings: {
        User: '1000:1000',
        WorkingDir: '/app',
        Cmd: ['node'],
        Env: ['PATH=/usr/bin:/bin', 'HOME=/tmp', 'NODE_PATH=/app/node_modules'],
      },
      layers: appLayers,
    },
  ]
}

async function programLayer(name: string, path: string): Promise<readonly Layer[]> {
  return [{ says: name, archive: tarOf([{ path: name, kind: 'file', bytes: await readFile(path), mode: 0o755 }]) }]
}

async function engineLayers(): Promise<readonly Layer[]> {
  const tree = await entriesUnder(join(ENGINE_DIR, 'usr'), 'usr', (path) => !path.startsWith('usr/share'))
  const tops: readonly Entry[] = ['lib', 'lib64'].map((path) => ({ path, kind: 'link', target: `usr/${path}` }))
  const model: Entry = { path: 'models/smollm2.gguf', kind: 'file', bytes: await readFile(SMALL_MODEL_FILE) }
  return [
    { says: 'llama-server and its libraries', archive: tarOf([...tree, ...tops, ...(await userland('bin'))]) },
    { says: 'SmolLM2-135M-Instruct', archive: tarOf([model]) },
  ]
}

async function appLayers(say: (line: string) => void): Promise<readonly Layer[]> {
  // As in our own image, so that a node holds it once.
  const base = tarOf(await baseFiles('linux/amd64', await fetchParts('linux/amd64', say)))
  const packages: Entry[] = []
  for (const name of await withDependencies(SDKS)) {
    const folder = join(ROOT, 'node_modules', name)
    packages.push(...(await entriesUnder(folder, `app/node_modules/${name}`, (path) => !/\.(map|[cm]?ts)$/.test(path))))
  }
  return [
    { says: 'Node and its libraries', archive: base },
    { says: 'a shell and the SDKs', archive: tarOf([...(await userland('bin')), ...packages]) },
  ]
}

async function userland(folder: string): Promise<readonly Entry[]> {
  return [
    { path: `${folder}/busybox`, kind: 'file', bytes: await readFile(BUSYBOX), mode: 0o755 },
    ...COMMANDS.map((name): Entry => ({ path: `${folder}/${name}`, kind: 'link', target: 'busybox' })),
    { path: 'etc/passwd', kind: 'file', bytes: Buffer.from(PASSWD) },
    { path: 'tmp', kind: 'folder', mode: 0o1777 },
  ]
}

async function withDependencies(names: readonly string[]): Promise<ReadonlySet<string>> {
  const all = new Set(names)
  for (const name of all) {
    const described: unknown = JSON.parse(await readFile(join(ROOT, 'node_modules', name, 'package.json'), 'utf8'))
    const needed: unknown = typeof described === 'object' && described !== null ? Reflect.get(described, 'dependencies') : undefined
    for (const each of Object.keys(needed ?? {})) all.add(each)
  }
  return all
}

async function entriesUnder(folder: string, path: string, wanted: (path: string) => boolean): Promise<Entry[]> {
  const entries: Entry[] = []
  for (const found of await readdir(folder, { withFileTypes: true })) {
    const [from, to] = [join(folder, found.name), `${path}/${found.name}`]
    if (found.isDirectory()) entries.push(...(await entriesUnder(from, to, wanted)))
    else if (!wanted(to)) continue
    else if (found.isSymbolicLink()) entries.push({ path: to, kind: 'link', target: await readlink(from) })
    else entries.push({ path: to, kind: 'file', bytes: await readFile(from), mode: (await stat(from)).mode & 0o777 })
  }
  return entries
}
