/**
 * `node scripts/image/build.ts [--platform linux/amd64] [--into FOLDER] [--kept-layers FOLDER]`: makes the container image of the bundles in
 * `dist/`. In: those, the lock file, and the pinned parts. Out, in `dist/image/`: one archive a platform for `docker load` and its like, an
 * OCI layout of all platforms, for what copies images to a registry, the SBOMs, and the root as an archive, for the Containerfile. No daemon,
 * no root, no tools but npm, apt-get and dpkg-deb, to fetch.
 */
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import { VERSION } from '../../proxy/version.ts'
import { bundledPackages } from './bundled.ts'
import { fetchParts, lockedNode } from './fetch.ts'
import { baseFiles, noticesOf, programFiles } from './files.ts'
import { type Blob, digestOf, dockerManifest, type Image, imageOf, indexOf, layoutOf } from './oci.ts'
import { DEBIAN_PARTS, NAMES, PLATFORMS, type Platform } from './parts.ts'
import { sbomOf } from './sbom.ts'
import { runSettings } from './settings.ts'
import { tarOf } from './tar.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const REFERENCE = `llama-swap:${VERSION}`
const LABELS = {
  'org.opencontainers.image.title': 'llama-swap',
  'org.opencontainers.image.description': 'One OpenAI-compatible endpoint for every language model: operator, gateway and sidecar',
  'org.opencontainers.image.version': VERSION,
  'org.opencontainers.image.licenses': 'Apache-2.0',
}

interface Built extends Image {
  readonly platform: Platform
  readonly sbom: string
  /** All layers in one archive. */
  readonly root: Uint8Array
}

/** `say` gets one line a step. */
async function buildImage(platform: Platform, compress: (archive: Uint8Array) => Uint8Array, say: (line: string) => void): Promise<Built> {
  const names = NAMES[platform]
  const parts = await fetchParts(platform, say)
  const bundled = bundledPackages()
  const sbom = sbomOf({
    version: VERSION,
    names,
    node: { ...lockedNode(names), libraries: nodeLibraries(names.nodePackage) },
    debian: DEBIAN_PARTS,
    bundled,
  })
  const base = await baseFiles(platform, parts)
  const program = await programFiles(sbom, await noticesOf(bundled))
  const layers = [
    { says: 'Node and its libraries', archive: tarOf(base) },
    { says: 'llama-swap', archive: tarOf(program) },
  ]
  const image = imageOf({ architecture: names.architecture, layers, settings: runSettings(LABELS), annotations: LABELS, compress })
  return { ...image, platform, sbom, root: tarOf([...base, ...program]) }
}

/** What the image's Node is made of can be asked of this one only if it is the same. */
function nodeLibraries(nodePackage: string): Readonly<Record<string, string>> {
  const { version } = lockedNode(NAMES[PLATFORMS.find((each) => NAMES[each].nodePackage === nodePackage) ?? 'linux/amd64'])
  if (process.versions.node !== version) throw new Error(`run this with Node ${version}, which goes into the image: \`make image\` does`)
  return Object.fromEntries(Object.entries(process.versions).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
}

async function writeAll(folder: string, images: readonly Built[]): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  for (const image of images) {
    const { architecture } = NAMES[image.platform]
    const files = new Map([...layoutOf(image.manifest, blobsOf(image), REFERENCE), ['manifest.json', dockerManifest(image, REFERENCE)]])
    await writeFile(join(folder, `llama-swap-${architecture}.tar`), archiveOf(files))
    await writeFile(join(folder, `llama-swap-${architecture}.spdx.json`), image.sbom)
    await writeFile(join(folder, `rootfs-${architecture}.tar`), image.root)
  }
  const blobs = images.flatMap((image) => [image.manifest, ...blobsOf(image)])
  for (const [path, bytes] of layoutOf(indexOf(images, LABELS), blobs, REFERENCE)) {
    await mkdir(dirname(join(folder, 'oci', path)), { recursive: true })
    await writeFile(join(folder, 'oci', path), bytes)
  }
}

const blobsOf = ({ config, layers }: Image): readonly Blob[] => [config, ...layers]

const archiveOf = (files: ReadonlyMap<string, Uint8Array>): Uint8Array =>
  tarOf([...files].map(([path, bytes]) => ({ path, kind: 'file', bytes })))

function show(image: Built): void {
  const size = image.layers.reduce((sum, layer) => sum + layer.size, 0)
  console.log(`${image.platform}  ${(size / 1e6).toFixed(1)} MB compressed, ${(image.root.length / 1e6).toFixed(1)} MB unpacked`)
  for (const [name, { digest }] of [
    ['manifest', image.manifest],
    ['config', image.config],
    ...image.layers.map((layer) => ['layer', layer] as const),
  ] as const)
    console.log(`  ${name.padEnd(8)} ${digest}`)
}

/** gzip, which takes seconds, is spared where a folder has what it made of the same archive, named by that one's digest. */
const compressedIn =
  (folder: string | undefined) =>
  (archive: Uint8Array): Uint8Array => {
    const kept = folder === undefined ? '' : join(folder, digestOf(archive))
    return existsSync(kept) ? readFileSync(kept) : gzipSync(archive)
  }

const { values } = parseArgs({
  options: {
    platform: { type: 'string', multiple: true },
    into: { type: 'string', default: 'dist/image' },
    'kept-layers': { type: 'string' },
  },
})
try {
  const wanted = values.platform ?? PLATFORMS
  const unknown = wanted.find((name) => !PLATFORMS.some((platform) => platform === name))
  if (unknown !== undefined) throw new Error(`"${unknown}" is no platform of the image: ${PLATFORMS.join(', ')}`)
  const compress = compressedIn(values['kept-layers'])
  const images: Built[] = []
  for (const platform of PLATFORMS.filter((each) => wanted.includes(each)))
    images.push(await buildImage(platform, compress, (line) => console.log(`image: ${line}`)))
  await writeAll(join(ROOT, values.into), images)
  images.forEach(show)
} catch (error) {
  console.error(`image: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
