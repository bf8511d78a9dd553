import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { eventually } from '../../test/support/eventually.ts'
import { boundaryOf, FormScanner } from './form.ts'

const part = (disposition: string, value: string, more = ''): string =>
  `--B\r\nContent-Disposition: ${disposition}${more}\r\n\r\n${value}\r\n`
const field = (name: string, value: string): string => part(`form-data; name="${name}"`, value)
const file = (name: string, value: string): string =>
  part(`form-data; name="${name}"; filename="a.wav"`, value, '\r\nContent-Type: audio/wav')
const END = '--B--\r\n'

function scan(text: string, chunkBytes = 7): { fields: Record<string, string>; complete: boolean; problem: string | undefined } {
  const scanner = new FormScanner('B')
  const bytes = Buffer.from(text)
  let problem: string | undefined
  for (let at = 0; at < bytes.length && problem === undefined; at += chunkBytes) problem = scanner.push(bytes.subarray(at, at + chunkBytes))
  for (const { valueStart, valueEnd, value } of scanner.fields.values()) assert.equal(bytes.toString('utf8', valueStart, valueEnd), value)
  return { fields: Object.fromEntries([...scanner.fields].map(([key, { value }]) => [key, value])), complete: scanner.complete, problem }
}

test('the model is found wherever it stands, in chunks of any size', () => {
  const form = file('file', 'RIFF\r\n--A\r\nxx') + field('language', 'en') + field('model', 'whisper-ä') + field('stream', 'true') + END
  fc.assert(
    fc.property(fc.integer({ min: 1, max: form.length }), (size) => {
      assert.deepEqual(scan(form, size), { fields: { model: 'whisper-ä', stream: 'true' }, complete: true, problem: undefined })
    }),
  )
})

test('a value may be empty, and what follows the end means nothing', () => {
  assert.deepEqual(scan(`${field('model', '')}${END}--B\r\nanything`), { fields: { model: '' }, complete: true, problem: undefined })
})

test('a form that is cut off is not complete', () => {
  assert.equal(scan(field('model', 'm')).complete, false)
  assert.equal(scan(field('model', 'm').slice(0, -4)).fields['model'], undefined)
})

const REFUSED: Readonly<Record<string, string>> = {
  'two models': field('model', 'a') + field('model', 'b') + END,
  'a model that is a file': file('model', 'a') + END,
  'a model that is encoded': part('form-data; name="model"', 'YQ==', '\r\nContent-Transfer-Encoding: base64') + END,
  'a name in two spellings': part('form-data; name="x"; name*=utf-8\'\'model', 'a') + END,
  'two names': part('form-data; name="x"; name="model"', 'a') + END,
  'a name with a backslash': part('form-data; name="mo\\del"', 'a') + END,
  'a name that ends in one': part('form-data; filename="x\\"; name="model"', 'a') + END,
  'two dispositions': part('form-data; name="x"', 'a', '\r\ncontent-disposition: form-data; name="model"') + END,
  'no disposition': '--B\r\nContent-Type: text/plain\r\n\r\na\r\n--B--',
  'a folded header': part('form-data;\r\n name="model"', 'a') + END,
  'a head with bare line feeds': '--B\r\nContent-Disposition: form-data; name="x"\nX: y\r\n\r\na\r\n--B--',
  'something before the first boundary': `\n${field('model', 'a')}${END}`,
  'a boundary that no line begins with': `${field('x', 'y\n--B\nContent-Disposition: form-data; name="model"\n\nb')}${END}`,
  'a boundary with a tail': '--Bx\r\nContent-Disposition: form-data; name="model"\r\n\r\na\r\n--B--',
  'a head without end': `--B\r\n${'x'.repeat(20_000)}`,
  'a model without end': `--B\r\nContent-Disposition: form-data; name="model"\r\n\r\n${'x'.repeat(20_000)}`,
}

for (const [name, form] of Object.entries(REFUSED)) {
  test(`refused: ${name}`, () => assert.match(scan(form).problem ?? '', /^("|[A-Z]).*\.$/))
}

/** Garbage is not what is asked about. */
setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

test('memory does not grow with a file', async () => {
  const scanner = new FormScanner('B')
  assert.equal(scanner.push(Buffer.from(file('file', '').slice(0, -2))), undefined)
  collect()
  const before = process.memoryUsage().arrayBuffers
  const chunk = Buffer.alloc(1024 * 1024, 'x')
  for (let sent = 0; sent < 64; sent++) assert.equal(scanner.push(chunk), undefined)
  // What is not held is given back by a thread of its own, some time after.
  await eventually(async () => {
    collect()
    assert.ok(process.memoryUsage().arrayBuffers - before < 8 * 1024 * 1024)
  })
})

test('the boundary of a content type', () => {
  assert.equal(boundaryOf('multipart/form-data; boundary=abc'), 'abc')
  assert.equal(boundaryOf('Multipart/Form-Data;boundary="a b"'), 'a b')
  for (const none of [
    'multipart/form-data',
    'multipart/mixed; boundary=a',
    'multipart/form-data; boundary=a; boundary=b',
    'application/json',
  ])
    assert.equal(boundaryOf(none), undefined)
})
