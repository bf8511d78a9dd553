/** The image as a registry would hand it out, unpacked as a container runtime does, each digest checked. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { digestOf } from '../../scripts/image/oci.ts'
import { ROOT } from '../support/program.ts'

export const LAYOUT = join(ROOT, 'dist/image/oci')

export interface Unpacked {
  /** Its root file system, and where tests may put files before something runs in it: `/mnt` inside. */
  readonly root: string
  readonly mounted: string
  readonly settings: { readonly User: string; readonly Entrypoint: readonly string[]; readonly Env: readonly string[] }
  /** Digests of manifest, configuration and layers. */
  readonly digests: readonly string[]
  readonly compressedBytes: number
  readonly unpackedBytes: number
  remove(): Promise<void>
}

interface Described {
  readonly digest: string
  readonly size: number
}

/** Host names that it can look up, beside localhost. */
const HOSTS = '127.0.0.1 localhost\n127.0.0.1 engine.test\n'

export async function unpackImage(architecture: 'amd64' | 'arm64'): Promise<Unpacked> {
  const {
    manifests: [top],
  } = JSON.parse(await readFile(join(LAYOUT, 'index.json'), 'utf8')) as { manifests: [Described] }
  const index = JSON.parse((await blob(top)).toString()) as { manifests: (Described & { platform: { architecture: string } })[] }
  const found = index.manifests.find(({ platform }) => platform.architecture === architecture)
  assert.ok(found !== undefined, `the image is there for ${architecture}`)
  const manifest = JSON.parse((await blob(found)).toString()) as { config: Described; layers: readonly Described[] }
  const config = JSON.parse((await blob(manifest.config)).toString()) as {
    config: Unpacked['settings']
    rootfs: { diff_ids: readonly string[] }
  }
  const folder = await mkdtemp(join(tmpdir(), 'llama-swap-image-'))
  const [root, mounted] = [join(folder, 'root'), join(folder, 'mounted')]
  for (const each of [root, mounted]) await mkdir(each)
  let unpackedBytes = 0
  for (const [at, layer] of manifest.layers.entries()) {
    const archive = gunzipSync(await blob(layer))
    assert.equal(digestOf(archive), config.rootfs.diff_ids[at])
    const { status, stderr } = spawnSync('tar', ['--extract', '--same-owner', '--preserve-permissions', '--directory', root], {
      input: archive,
    })
    assert.equal(status, 0, String(stderr))
    unpackedBytes += archive.length
  }
  return {
    root,
    mounted,
    settings: config.config,
    digests: [found, manifest.config, ...manifest.layers].map(({ digest }) => digest),
    compressedBytes: manifest.layers.reduce((sum, { size }) => sum + size, 0),
    unpackedBytes,
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

async function blob({ digest, size }: Described): Promise<Buffer> {
  const bytes = await readFile(join(LAYOUT, 'blobs', digest.replace(':', '/')))
  assert.equal(digestOf(bytes), digest)
  assert.equal(bytes.length, size)
  return bytes
}

/** What a runtime adds: folders to mount on, and the names of hosts. */
export async function furnish(root: string): Promise<void> {
  for (const folder of ['dev', 'proc', 'mnt']) await mkdir(join(root, folder))
  await writeFile(join(root, 'etc/hosts'), HOSTS)
}
