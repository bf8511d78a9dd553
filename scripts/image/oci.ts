/**
 * Makes an OCI image of layers: archives in, blobs and their descriptors out. The same archives give the same digests, always. PURE.
 * Layers are gzip, which every runtime reads.
 */
import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import type { Names } from './parts.ts'

const TYPES = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
} as const

export interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

export interface Blob extends Descriptor {
  readonly bytes: Uint8Array
}

export interface Layer {
  /** Shown by `docker history`. */
  readonly says: string
  /** Not compressed. */
  readonly archive: Uint8Array
}

export interface Image {
  readonly architecture: Names['architecture']
  readonly manifest: Blob
  readonly config: Blob
  readonly layers: readonly Blob[]
}

export const digestOf = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

const blobOf = (bytes: Uint8Array, mediaType: string): Blob => ({ mediaType, digest: digestOf(bytes), size: bytes.length, bytes })
const jsonBlob = (value: unknown, mediaType: string): Blob => blobOf(Buffer.from(JSON.stringify(value)), mediaType)
const described = ({ mediaType, digest, size }: Descriptor): Descriptor => ({ mediaType, digest, size })

interface Wanted {
  readonly architecture: Names['architecture']
  readonly layers: readonly Layer[]
  /** How it is run. */
  readonly settings: Readonly<Record<string, unknown>>
  readonly annotations: Readonly<Record<string, string>>
  /** Node's gzip if absent: the most of the time that an image takes. */
  readonly compress?: (archive: Uint8Array) => Uint8Array
}

export function imageOf({ architecture, layers, settings, annotations, compress = gzipSync }: Wanted): Image {
  const blobs = layers.map(({ archive }) => blobOf(compress(archive), TYPES.layer))
  const config = jsonBlob(
    {
      created: '1970-01-01T00:00:00Z',
      architecture,
      os: 'linux',
      config: settings,
      rootfs: { type: 'layers', diff_ids: layers.map(({ archive }) => digestOf(archive)) },
      history: layers.map(({ says }) => ({ created: '1970-01-01T00:00:00Z', created_by: says })),
    },
    TYPES.config,
  )
  const manifest = jsonBlob(
    { schemaVersion: 2, mediaType: TYPES.manifest, config: described(config), layers: blobs.map(described), annotations },
    TYPES.manifest,
  )
  return { architecture, manifest, config, layers: blobs }
}

/** One name for the images of several platforms. */
export function indexOf(images: readonly Image[], annotations: Readonly<Record<string, string>>): Blob {
  const manifests = images.map(({ manifest, architecture }) => ({ ...described(manifest), platform: { architecture, os: 'linux' } }))
  return jsonBlob({ schemaVersion: 2, mediaType: TYPES.index, manifests, annotations }, TYPES.index)
}

/** File name → bytes of an OCI layout that holds `top`, under the name `reference`, and `blobs`. A name without a registry is Docker's. */
export function layoutOf(top: Blob, blobs: readonly Blob[], reference: string): ReadonlyMap<string, Uint8Array> {
  const version = reference.slice(reference.lastIndexOf(':') + 1)
  const name = reference.includes('/') ? reference : `docker.io/library/${reference}`
  const annotations = { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': version }
  const index = { schemaVersion: 2, mediaType: TYPES.index, manifests: [{ ...described(top), annotations }] }
  return new Map([
    ['oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}')],
    ['index.json', Buffer.from(JSON.stringify(index))],
    ...[top, ...blobs].map(({ digest, bytes }): [string, Uint8Array] => [pathOf(digest), bytes]),
  ])
}

/** What `docker load` of versions before 25 reads in the same archive. */
export function dockerManifest({ config, layers }: Image, reference: string): Uint8Array {
  const paths = layers.map(({ digest }) => pathOf(digest))
  return Buffer.from(JSON.stringify([{ Config: pathOf(config.digest), RepoTags: [reference], Layers: paths }]))
}

const pathOf = (digest: string): string => `blobs/${digest.replace(':', '/')}`
