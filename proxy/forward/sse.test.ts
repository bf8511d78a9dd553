import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Cut, EventCutter, readEvent, type SseEvent } from './sse.ts'

/** A block is what stands between two boundaries, its blank line left out; lines are joined by whatever the stream ends its lines with. */
interface Block {
  readonly lines: readonly string[]
  readonly means: SseEvent
}

const data = (text: string): Block => ({ lines: [`data: ${text}`], means: { event: '', data: text } })

const BLOCKS: readonly Block[] = [
  data('{"choices":[{"delta":{"content":"héllo 你好 🚀"}}]}'),
  { lines: [': keep-alive'], means: { event: '', data: undefined } },
  { lines: ['event: response.created', 'data: {"a":1}'], means: { event: 'response.created', data: '{"a":1}' } },
  { lines: ['data: first', 'data:second', 'data', 'data:  third'], means: { event: '', data: 'first\nsecond\n\n third' } },
  { lines: [': remark', 'id: 7', 'retry: 100', 'unknown: x', 'data: after others'], means: { event: '', data: 'after others' } },
  { lines: ['event: ping'], means: { event: 'ping', data: undefined } },
  data(''),
  data('a: colon, "quotes" and data: inside'),
  data('[DONE]'),
]

const LINE_ENDS = { LF: '\n', CRLF: '\r\n', CR: '\r' } as const
const BOM = '\uFEFF'

const textOf = (blocks: readonly Block[], lineEnd: string): string =>
  blocks.map(({ lines }) => lines.map((line) => line + lineEnd).join('') + lineEnd).join('')

/** Offsets at which a block, its blank line included, ends. */
function boundariesOf(blocks: readonly Block[], lineEnd: string, before = ''): number[] {
  let at = Buffer.byteLength(before)
  return blocks.map((block) => {
    at += Buffer.byteLength(textOf([block], lineEnd))
    return at
  })
}

interface Seen {
  readonly bytes: Buffer
  readonly ends: readonly number[]
  readonly events: readonly SseEvent[]
}

/** All that a cutter gives for these chunks. */
function cutAll(chunks: readonly Buffer[]): Seen {
  const cutter = new EventCutter()
  const cuts = chunks.map((chunk) => cutter.push(chunk)).concat(cutter.flush() ?? [])
  const out: Buffer[] = []
  const ends: number[] = []
  const events: SseEvent[] = []
  let before = 0
  for (const cut of cuts) {
    assert.ok(cut !== undefined)
    assert.equal(cut.ends.at(-1) ?? 0, cut.bytes.length, 'a cut ends where its last event ends')
    let start = 0
    for (const end of cut.ends) {
      events.push(readEvent(cut.bytes, start, end))
      ends.push(before + end)
      start = end
    }
    out.push(Buffer.from(cut.bytes))
    before += cut.bytes.length
  }
  return { bytes: Buffer.concat(out), ends, events }
}

function chunksAt(bytes: Buffer, splits: readonly number[]): Buffer[] {
  const at = [0, ...splits.toSorted((a, b) => a - b), bytes.length]
  return at.slice(1).map((end, index) => Buffer.from(bytes.subarray(at[index], end)))
}

for (const [name, lineEnd] of Object.entries(LINE_ENDS)) {
  for (const [start, before] of [
    ['', ''],
    [' behind a byte order mark', BOM],
  ] as const) {
    const text = before + textOf(BLOCKS, lineEnd)
    const bytes = Buffer.from(text)
    const expected = { bytes, ends: boundariesOf(BLOCKS, lineEnd, before), events: BLOCKS.map(({ means }) => means) }

    test(`lines that end in ${name}${start}: split at any byte, the same bytes, boundaries and events`, () => {
      assert.deepEqual(cutAll([bytes]), expected)
      for (let split = 0; split <= bytes.length; split++) assert.deepEqual(cutAll(chunksAt(bytes, [split])), expected, `split at ${split}`)
    })

    test(`lines that end in ${name}${start}: byte after byte, the same`, () => {
      assert.deepEqual(cutAll(Array.from(bytes, (byte) => Buffer.of(byte))), expected)
    })
  }
}

test('any blocks, split anywhere: the bytes are the same, and every cut is at a boundary', () => {
  const line = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 12 }).map((text) => `data: ${text.replace(/[\r\n]/g, '')}`),
    fc.constantFrom(':', ': x', 'event: e', 'data', 'data:', 'id: 1'),
  )
  const block = fc.array(line, { minLength: 1, maxLength: 4 }).map((lines): Block => ({ lines, means: { event: '', data: undefined } }))
  fc.assert(
    fc.property(
      fc.array(block, { minLength: 1, maxLength: 6 }),
      fc.constantFrom('\n', '\r\n', '\r'),
      fc.array(fc.nat({ max: 400 }), { maxLength: 8 }),
      (blocks, lineEnd, splits) => {
        const bytes = Buffer.from(textOf(blocks, lineEnd))
        const seen = cutAll(
          chunksAt(
            bytes,
            splits.map((at) => at % (bytes.length + 1)),
          ),
        )
        assert.deepEqual(seen.bytes, bytes)
        assert.deepEqual(seen.ends, boundariesOf(blocks, lineEnd))
        assert.deepEqual(seen.events, cutAll([bytes]).events)
      },
    ),
    { numRuns: 200 },
  )
})

test('an event is passed on as soon as its blank line is there, not before', () => {
  const cutter = new EventCutter()
  const text = (cut: Cut | undefined): string => cut?.bytes.toString() ?? 'overflow'
  assert.equal(text(cutter.push(Buffer.from('data: a\n'))), '')
  assert.equal(text(cutter.push(Buffer.from('\ndata: b\n\nda'))), 'data: a\n\ndata: b\n\n')
  assert.equal(text(cutter.push(Buffer.from('ta: c\r\n\r\n'))), 'data: c\r\n\r\n')
  assert.equal(cutter.flush(), undefined)
})

test('a last event without its blank line is completed', () => {
  const cutter = new EventCutter()
  cutter.push(Buffer.from('data: a\n\ndata: [DONE]'))
  const last = cutter.flush()
  assert.equal(last?.bytes.toString(), 'data: [DONE]\n\n')
  assert.deepEqual(readEvent(last?.bytes ?? Buffer.of(), 0, last?.bytes.length ?? 0), { event: '', data: '[DONE]' })
  assert.equal(cutter.flush(), undefined)
})

test('blank lines between events are passed on and mean nothing', () => {
  const { bytes, events } = cutAll([Buffer.from('\n\n\ndata: a\n\n\n\ndata: b\n\n')])
  assert.equal(bytes.toString(), '\n\n\ndata: a\n\n\n\ndata: b\n\n')
  assert.deepEqual(
    events.filter((event) => event.data !== undefined).map((event) => event.data),
    ['a', 'b'],
  )
})

test('an unfinished event may grow to one mebibyte, not beyond', () => {
  const cutter = new EventCutter()
  assert.ok(cutter.push(Buffer.alloc(1024 * 1024, 'x')) !== undefined)
  assert.equal(cutter.push(Buffer.from('x')), undefined)
})

test('a large event that comes whole is no overflow', () => {
  const large = Buffer.from(`data: ${'x'.repeat(3 * 1024 * 1024)}\n\n`)
  assert.equal(new EventCutter().push(large)?.bytes.length, large.length)
})

test('what is held back is a copy: the socket may use its buffer again', () => {
  const cutter = new EventCutter()
  const chunk = Buffer.from('data: a')
  cutter.push(chunk)
  chunk.fill('z')
  assert.equal(cutter.push(Buffer.from('\n\n'))?.bytes.toString(), 'data: a\n\n')
})
