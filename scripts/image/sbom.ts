/** What the image consists of, as SPDX 2.3. PURE: the same parts give the same text. */
import { createHash } from 'node:crypto'
import type { BundledPackage } from './bundled.ts'
import { DEBIAN, type DebianPart, type Names } from './parts.ts'

export interface Contents {
  readonly version: string
  readonly names: Names
  readonly node: {
    readonly version: string
    readonly integrity: string
    /** Name → version of what is built into Node, as `process.versions` has it. */
    readonly libraries: Readonly<Record<string, string>>
  }
  readonly debian: readonly DebianPart[]
  readonly bundled: readonly BundledPackage[]
}

interface Listed {
  readonly id: string
  readonly name: string
  readonly version: string
  readonly licence: string
  readonly purl: string
  readonly purpose: 'APPLICATION' | 'LIBRARY'
  readonly checksum?: { readonly algorithm: 'SHA256' | 'SHA512'; readonly checksumValue: string }
  /** Id of what contains it. */
  readonly within: string
}

const IMAGE = 'SPDXRef-image'
const NODE = 'SPDXRef-node'
/** Of `process.versions`: numbers of interfaces and of data, not of code. */
const NO_LIBRARY: ReadonlySet<string> = new Set(['node', 'modules', 'napi', 'unicode', 'cldr', 'tz'])

export function sbomOf(contents: Contents): string {
  const listed = [nodeOf(contents), ...librariesOf(contents), ...debianOf(contents), ...bundledOf(contents)]
  const packages = [imageOf(contents), ...listed.map(packageOf)]
  const relationships = [
    { spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: IMAGE },
    ...listed.map(({ id, within }) => ({ spdxElementId: within, relationshipType: 'CONTAINS', relatedSpdxElement: id })),
  ]
  const name = `llama-swap-${contents.version}-linux-${contents.names.architecture}`
  const hash = createHash('sha256').update(JSON.stringify(packages)).digest('hex').slice(0, 32)
  const head = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name,
    documentNamespace: `https://llamaswap.dev/spdx/${name}-${hash}`,
    creationInfo: { created: '1970-01-01T00:00:00Z', creators: [`Tool: llama-swap-image-${contents.version}`] },
  }
  return `${JSON.stringify({ ...head, packages, relationships }, null, 1)}\n`
}

function imageOf({ version, names }: Contents) {
  const purl = `pkg:oci/llama-swap?arch=${names.architecture}&tag=${version}`
  return packageOf({ id: IMAGE, name: 'llama-swap', version, licence: 'Apache-2.0', purl, purpose: 'APPLICATION', within: '' })
}

function packageOf({ id, name, version, licence, purl, purpose, checksum }: Listed) {
  return {
    SPDXID: id,
    name,
    versionInfo: version,
    downloadLocation: 'NOASSERTION',
    filesAnalyzed: false,
    licenseConcluded: 'NOASSERTION',
    licenseDeclared: licence,
    copyrightText: 'NOASSERTION',
    primaryPackagePurpose: purpose,
    ...(checksum !== undefined && { checksums: [checksum] }),
    externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl }],
  }
}

const sha512 = (integrity: string): Listed['checksum'] => ({
  algorithm: 'SHA512',
  checksumValue: Buffer.from(integrity.replace('sha512-', ''), 'base64').toString('hex'),
})

/** Its checksum is that of the npm package it comes from. */
function nodeOf({ node, names }: Contents): Listed {
  const purl = `pkg:npm/${names.nodePackage}@${node.version}`
  const checksum = sha512(node.integrity)
  return {
    id: NODE,
    name: 'node',
    version: node.version,
    licence: 'MIT',
    purl,
    purpose: 'APPLICATION',
    within: IMAGE,
    ...(checksum && { checksum }),
  }
}

function librariesOf({ node }: Contents): readonly Listed[] {
  return Object.entries(node.libraries)
    .filter(([name]) => !NO_LIBRARY.has(name))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, version]) => ({
      id: `SPDXRef-node-${idOf(name)}`,
      name,
      version,
      licence: 'NOASSERTION',
      purl: `pkg:generic/${name}@${encodeURIComponent(version)}`,
      purpose: 'LIBRARY',
      within: NODE,
    }))
}

function debianOf({ debian, names: { architecture } }: Contents): readonly Listed[] {
  return debian.map(({ name, version, licence, sha256 }) => ({
    id: `SPDXRef-deb-${idOf(name)}`,
    name,
    version,
    licence,
    purl: `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=${architecture}&distro=debian-${DEBIAN.release}`,
    purpose: 'LIBRARY',
    checksum: { algorithm: 'SHA256', checksumValue: sha256[architecture] },
    within: IMAGE,
  }))
}

function bundledOf({ bundled }: Contents): readonly Listed[] {
  return bundled.map(({ name, version, licence, integrity, folder }) => {
    const checksum = sha512(integrity)
    return {
      id: `SPDXRef-npm-${idOf(folder.replace('node_modules/', ''))}`,
      name,
      version,
      licence,
      purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
      purpose: 'LIBRARY',
      within: IMAGE,
      ...(checksum && { checksum }),
    }
  })
}

const idOf = (name: string): string => name.replaceAll('+', 'p').replaceAll(/[^A-Za-z0-9.-]+/g, '-')
