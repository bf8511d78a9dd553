import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { digestOf, dockerManifest, imageOf, indexOf, layoutOf } from './oci.ts'
import { runSettings } from './settings.ts'
import { tarOf } from './tar.ts'

const archive = tarOf([{ path: 'app/a.mjs', kind: 'file', bytes: Buffer.from('a') }])
const make = () =>
  imageOf({ architecture: 'amd64', layers: [{ says: 'a', archive }], settings: runSettings({ a: 'b' }), annotations: { version: '1' } })

test('the same archives give the same digests', () => {
  assert.deepEqual(make(), make())
})

test('a manifest leads to a configuration and layers by their digests, the configuration to what is in the layers', () => {
  const { manifest, config, layers } = make()
  const said = JSON.parse(Buffer.from(manifest.bytes).toString())
  assert.deepEqual(
    [said.config.digest, said.layers.map(({ digest }: { digest: string }) => digest)],
    [config.digest, layers.map(({ digest }) => digest)],
  )
  for (const blob of [manifest, config, ...layers]) assert.deepEqual([blob.digest, blob.size], [digestOf(blob.bytes), blob.bytes.length])
  const configured = JSON.parse(Buffer.from(config.bytes).toString())
  assert.deepEqual(
    configured.rootfs.diff_ids,
    layers.map(({ bytes }) => digestOf(gunzipSync(bytes))),
  )
  assert.equal(configured.history.length, layers.length)
  assert.equal(configured.config.User, '65532:65532')
})

test('a layout holds all blobs under their digests, an index of platforms on top', () => {
  const image = make()
  const index = indexOf([image], {})
  const layout = layoutOf(index, [image.manifest, image.config, ...image.layers], 'llama-swap:1')
  const top = JSON.parse(Buffer.from(layout.get('index.json') ?? []).toString())
  assert.equal(top.manifests[0].digest, index.digest)
  assert.equal(top.manifests[0].annotations['org.opencontainers.image.ref.name'], '1')
  assert.deepEqual(
    [...layout.keys()].filter((path) => path.startsWith('blobs/')),
    [index, image.manifest, image.config, ...image.layers].map(({ digest }) => `blobs/${digest.replace(':', '/')}`),
  )
  const [loaded] = JSON.parse(Buffer.from(dockerManifest(image, 'llama-swap:1')).toString())
  assert.ok(layout.has(loaded.Config) && layout.has(loaded.Layers[0]))
})
