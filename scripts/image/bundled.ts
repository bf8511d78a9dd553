/**
 * Says which npm packages are in the bundles, by the source maps that esbuild wrote: what it left out is not in there. Versions, hashes and
 * licences come from the lock file and the packages.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readPath } from './fetch.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const MAPS = ['dist/cli.mjs.map', 'dist/proxy.mjs.map']
/** Sources of ours that are made of a package's data. */
const DATA: Readonly<Record<string, string>> = {
  '../operator/translate/price-catalogue.generated.ts': 'node_modules/@pydantic/genai-prices',
}

export interface BundledPackage {
  readonly name: string
  readonly version: string
  /** SPDX. */
  readonly licence: string
  /** "sha512-…" in base64, of the archive that npm installed. */
  readonly integrity: string
  /** Below the project's root. */
  readonly folder: string
}

export function bundledPackages(): readonly BundledPackage[] {
  const lock = json('package-lock.json')
  const folders = new Set(MAPS.flatMap((map) => sourcesOf(json(map))).flatMap((source) => folderOf(source) ?? DATA[source] ?? []))
  if (folders.size === 0) throw new Error('the source maps of the bundles name no package')
  return [...folders].sort().map((folder) => {
    const locked = readPath(lock, ['packages', folder])
    return {
      name: folder.slice(folder.lastIndexOf('node_modules/') + 'node_modules/'.length),
      version: word(locked, 'version', folder),
      licence: word(json(`${folder}/package.json`), 'license', folder),
      integrity: word(locked, 'integrity', folder),
      folder,
    }
  })
}

/** "../node_modules/a/node_modules/@b/c/d.js" → "node_modules/a/node_modules/@b/c". */
export const folderOf = (source: string): string | undefined => /^\.\.\/((?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(source)?.[1]

function sourcesOf(map: unknown): readonly string[] {
  const sources = readPath(map, ['sources'])
  return Array.isArray(sources) ? sources.map(String) : []
}

function word(value: unknown, field: string, of: string): string {
  const found = readPath(value, [field])
  if (typeof found !== 'string') throw new Error(`${of} has no ${field}`)
  return found
}

const json = (path: string): unknown => JSON.parse(readFileSync(join(ROOT, path), 'utf8'))
