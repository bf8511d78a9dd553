import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { type Entry, tarOf } from './tar.ts'

const file = (path: string, text: string, mode?: number): Entry => ({
  path,
  kind: 'file',
  bytes: Buffer.from(text),
  ...(mode !== undefined && { mode }),
})
const long = `${'a'.repeat(90)}/${'b'.repeat(60)}`
const ENTRIES: readonly Entry[] = [
  file('usr/bin/node', 'program', 0o755),
  file(long, 'long'),
  { path: 'lib64', kind: 'link', target: 'usr/lib64' },
  { path: 'tmp', kind: 'folder', mode: 0o1777 },
]

test('tar reads what is written, with folders, modes, links and long paths', () => {
  const archive = tarOf(ENTRIES)
  const listed = execFileSync('tar', ['-tv', '--numeric-owner', '--utc'], { input: archive, encoding: 'utf8' }).trim().split('\n')
  assert.deepEqual(
    listed.map((line) => line.replace(/ +/g, ' ')),
    [
      `drwxr-xr-x 0/0 0 1970-01-01 00:00 ${'a'.repeat(90)}/`,
      `-rw-r--r-- 0/0 4 1970-01-01 00:00 ${long}`,
      'lrwxrwxrwx 0/0 0 1970-01-01 00:00 lib64 -> usr/lib64',
      'drwxrwxrwt 0/0 0 1970-01-01 00:00 tmp/',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 usr/',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 usr/bin/',
      '-rwxr-xr-x 0/0 7 1970-01-01 00:00 usr/bin/node',
    ],
  )
  assert.equal(execFileSync('tar', ['-xO', 'usr/bin/node'], { input: archive, encoding: 'utf8' }), 'program')
})

test('the order of entries changes nothing', () => {
  assert.deepEqual(tarOf(ENTRIES.toReversed()), tarOf(ENTRIES))
})

test('refuses two entries of one path, and names that do not fit', () => {
  assert.throws(() => tarOf([file('a', ''), file('a', '')]), /same path/)
  assert.throws(() => tarOf([file('a'.repeat(101), '')]), /too long/)
  assert.throws(() => tarOf([{ path: 'a', kind: 'link', target: 'b'.repeat(101) }]), /too long/)
})
