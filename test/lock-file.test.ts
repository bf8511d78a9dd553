/**
 * The lock file is whole. A package whose platform packages npm does not serve leaves holes that only the next `npm ci` finds.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

interface Locked {
  readonly resolved?: string
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const ROOT = join(import.meta.dirname, '..')
const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Readonly<Record<string, Locked>> }
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Readonly<Record<string, Readonly<Record<string, string>>>>

test('every optional package that is asked for is locked', () => {
  const locked = new Set(Object.keys(packages).map((path) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)))
  const asked = Object.values(packages).flatMap(({ optionalDependencies }) => Object.keys(optionalDependencies ?? {}))
  assert.ok(asked.length > 20)
  assert.deepEqual(
    asked.filter((name) => !locked.has(name)),
    [],
  )
})

test('no address of a registry is locked', () => {
  assert.deepEqual(
    Object.keys(packages).filter((path) => packages[path]?.resolved !== undefined),
    [],
  )
})

test('every dependency is pinned to one version', () => {
  const asked = ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((kind) => Object.entries(manifest[kind] ?? {}))
  assert.deepEqual(
    asked.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version)),
    [],
  )
})
