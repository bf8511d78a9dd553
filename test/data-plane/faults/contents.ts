/** Faults inside an answer of status 200: errors, lies and odd bytes. */
import assert from 'node:assert/strict'
import { CLOSE, chunk, END, gzipped, HANG, pause, send, stream, streamHead, whole, wholeHead } from '../../support/model-server/answers.ts'
import type { Answer, Step } from '../../support/model-server/script.ts'
import { ROUTES, streamOf, WORDS } from '../../support/routes.ts'
import { answeredAtOnce, cleanlyInterrupted, rescuedAfter, tries } from './verdicts.ts'
import { answerText, type FaultCase, type Mode, wholeAnswer } from './wall.ts'

const NO_CHOICES = 'data: {"choices":[],"prompt_filter_results":[]}\n\n'
const ABSENT_CHOICES = 'data: {"id":"chatcmpl-1","object":"chat.completion.chunk"}\n\n'
const OVERLOADED = { error: { message: 'no capacity', type: 'overloaded_error', code: 503 } }

const hasChoices = (route: string): boolean => route === 'chat' || route === 'completions'
const isJsonRoute = (_route: string, { answerType }: Mode['speech']): boolean => answerType === undefined
const typeOf = ({ answerType = 'application/json' }: Mode['speech']): { readonly 'content-type': string } => ({
  'content-type': answerType,
})

/** A chunked whole answer with `last` behind the last chunk. */
const chunked = ({ speech }: Mode, last: string): Answer => {
  const { 'content-type': type } = typeOf(speech)
  return [send(`HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\ntransfer-encoding: chunked\r\n\r\n`), chunk(answerText(speech)), send(last)]
}

const TRAILER = '0\r\nx-trailer: late\r\n\r\n'

export const CONTENTS: Readonly<Record<string, FaultCase>> = {
  'status 200 with an error for a body: the fallback answers': {
    modes: ['whole'],
    primary: () => [whole(OVERLOADED)],
    check: rescuedAfter(1),
  },
  'status 200 with an error for a body, where a stream was asked for: the fallback answers': {
    modes: ['stream'],
    primary: () => [whole(OVERLOADED)],
    check: rescuedAfter(1),
  },
  'an error as the first event: the fallback answers, nothing of it shows': {
    modes: ['stream'],
    primary: () => [stream([`event: error\ndata: ${JSON.stringify(OVERLOADED)}\n\n`])],
    check: async (outcome, t) => {
      await rescuedAfter(1)(outcome, t)
      assert.equal(outcome.got.body.includes('no capacity'), false)
    },
  },
  'an error event behind content: a clean error in our words': {
    modes: ['stream'],
    primary: ({ speech }) => {
      const { begin, words } = speech.events(WORDS)
      const event = 'event: error\ndata: {"error":{"message":"out of memory","type":"server_error","code":500}}\n\n'
      return [stream([...begin, ...words.slice(0, 5), event, 'data: [DONE]\n\n'])]
    },
    check: (outcome) => {
      cleanlyInterrupted(outcome, 5)
      assert.deepEqual(tries(outcome), [1, 0])
    },
  },
  'role-only first deltas, then the end: nothing was out, the fallback answers': {
    modes: ['stream'],
    primary: ({ speech }) => [[streamHead(), ...speech.events(WORDS).begin.map(chunk), CLOSE]],
    check: rescuedAfter(2),
  },
  'role-only first deltas, then silence: the fallback answers, the silent target is tried once': {
    modes: ['stream'],
    timeouts: { firstTokenMs: 300 },
    primary: ({ speech }) => [[streamHead(), ...speech.events(WORDS).begin.map(chunk), HANG]],
    check: rescuedAfter(1),
  },
  'the head, some seconds of silence, the end: the same target is not waited for again': {
    primary: ({ speech, stream: streams }) => [[streams ? streamHead() : wholeHead(1000, typeOf(speech)), pause(5200), CLOSE]],
    check: rescuedAfter(1),
  },
  'events with empty choices before the content are no fault': {
    modes: ['stream'],
    routes: hasChoices,
    primary: ({ speech }) => [stream([NO_CHOICES, ...streamOf(speech, WORDS)])],
    check: answeredAtOnce,
  },
  'events without choices before the content are no fault': {
    modes: ['stream'],
    routes: hasChoices,
    primary: ({ speech }) => [stream([ABSENT_CHOICES, ...streamOf(speech, WORDS)])],
    check: answeredAtOnce,
  },
  'a stream that never has choices: the fallback answers': {
    modes: ['stream'],
    routes: hasChoices,
    primary: () => [stream([NO_CHOICES, ABSENT_CHOICES, 'data: [DONE]\n\n'])],
    check: rescuedAfter(2),
  },
  'a whole answer without choices: the fallback answers': {
    modes: ['whole'],
    routes: hasChoices,
    primary: () => [whole({ id: 'chatcmpl-1', usage: { prompt_tokens: 7 } }), whole({ choices: [] })],
    check: rescuedAfter(2),
  },
  'a whole stream in one write': {
    modes: ['stream'],
    primary: ({ speech }) => [stream([streamOf(speech, WORDS).join('')])],
    check: answeredAtOnce,
  },
  'a byte order mark before the first event': {
    modes: ['stream'],
    primary: ({ speech }) => [stream(['\uFEFF', ...streamOf(speech, WORDS)])],
    check: answeredAtOnce,
  },
  'comments between events': {
    modes: ['stream'],
    primary: ({ speech }) => [stream(streamOf(speech, WORDS).flatMap((event) => [': still here\n\n', event]))],
    check: answeredAtOnce,
  },
  'a whole answer in two writes that split a character': {
    modes: ['whole'],
    primary: ({ speech }) => {
      const bytes = Buffer.from(answerText(speech, 'mödel'))
      const middle = bytes.includes('ö') ? bytes.indexOf(Buffer.from('ö')) + 1 : 10
      const part = (from: number, to?: number): Step => ({ do: 'sendBytes', base64: bytes.subarray(from, to).toString('base64') })
      return [[wholeHead(bytes.length, typeOf(speech)), part(0, middle), pause(20), part(middle)]]
    },
    check: answeredAtOnce,
  },
  'an answer in gzip that nobody asked for is decoded': {
    primary: ({ speech, stream: streams }) => [
      streams
        ? gzipped(streamOf(speech, WORDS).join(''), 'text/event-stream')
        : gzipped(answerText(speech), typeOf(speech)['content-type']),
    ],
    check: async (outcome, t) => {
      await answeredAtOnce(outcome, t)
      assert.equal(outcome.got.headers['content-encoding'], undefined)
    },
  },
  'a broken gzip: the fallback answers': {
    primary: () => [whole('this is no gzip', { headers: { 'content-encoding': 'gzip' } })],
    check: rescuedAfter(2),
  },
  'an unknown encoding: the fallback answers': {
    primary: () => [whole('???', { headers: { 'content-encoding': 'rot13' } })],
    check: rescuedAfter(2),
  },
  'bytes that are no HTTP: the fallback answers': { primary: () => [[send('good morning\r\n\r\n')]], check: rescuedAfter(2) },
  'a head that is too large: the fallback answers': {
    primary: ({ speech }) => [[send(`HTTP/1.1 200 OK\r\nx-much: ${'x'.repeat(80_000)}\r\n\r\n`), ...whole(answerText(speech))]],
    check: rescuedAfter(2),
  },
  'a body longer than announced: the fallback answers': {
    modes: ['whole'],
    routes: isJsonRoute,
    primary: ({ speech }) => [[wholeHead(10, typeOf(speech)), send(answerText(speech))]],
    check: rescuedAfter(2),
  },
  'an HTML page with status 200: the fallback answers': {
    primary: () => [whole('<html><body>Please log in</body></html>', { headers: { 'content-type': 'text/html' } })],
    check: rescuedAfter(2),
  },
  'JSON under another content type is JSON all the same': {
    modes: ['whole'],
    routes: isJsonRoute,
    primary: ({ speech }) => [whole(answerText(speech), { headers: { 'content-type': 'text/plain' } })],
    check: answeredAtOnce,
  },
  'events under another content type: the fallback answers': {
    modes: ['stream'],
    routes: (route) => route !== 'transcriptions', // whose answers may be plain text
    primary: ({ speech }) => [stream(streamOf(speech, WORDS), { 'content-type': 'text/plain' })],
    check: rescuedAfter(2),
  },
  'a trailer behind the answer is no part of it': {
    primary: (mode) => [mode.stream ? [streamHead(), ...streamOf(mode.speech, WORDS).map(chunk), send(TRAILER)] : chunked(mode, TRAILER)],
    check: async (outcome, t) => {
      await answeredAtOnce(outcome, t)
      assert.equal(outcome.got.body.includes('x-trailer'), false)
    },
  },
  'an event of almost 1 MiB passes': {
    modes: ['stream'],
    routes: (route) => route === 'chat',
    primary: ({ speech }) => {
      const { begin, words, finish, sentinel } = speech.events(WORDS)
      return [stream([...begin, `: ${'x'.repeat(1_000_000)}\n${words[0] ?? ''}`, ...words.slice(1), ...finish, ...sentinel])]
    },
    check: answeredAtOnce,
  },
  'an event that never ends: given up at 1 MiB, the fallback answers': {
    modes: ['stream'],
    primary: () => [[streamHead(), chunk('data: "'), { do: 'flood', text: 'x'.repeat(65_536), times: 1000 }, END]],
    check: async (outcome, t) => {
      await rescuedAfter(2)(outcome, t)
      assert.ok((outcome.primary[0]?.bytes ?? 0) < 16_000_000)
    },
  },
  'a whole answer where a stream was asked for': {
    modes: ['stream'],
    routes: isJsonRoute,
    primary: ({ speech }) => [whole(answerText(speech))],
    check: (outcome) => {
      wholeAnswer({ ...outcome, stream: false })
      assert.match(String(outcome.got.headers['content-type']), /^application\/json/)
    },
  },
  'two finished choices are one answer': {
    modes: ['stream'],
    routes: (route) => route === 'chat',
    primary: ({ speech }) => {
      const { begin, words, finish, sentinel } = speech.events(WORDS)
      const other = (delta: string, reason: string): string =>
        `data: {"choices":[{"index":1,"delta":${delta},"finish_reason":${reason}}]}\n\n`
      return [
        stream([
          ...begin,
          other('{"content":"2nd"}', 'null'),
          ...words,
          ...finish.slice(0, 1),
          other('{}', '"stop"'),
          ...finish.slice(1),
          ...sentinel,
        ]),
      ]
    },
    check: (outcome) => {
      assert.equal(outcome.got.whole, true)
      assert.match(outcome.got.body, /"index":1,"delta":\{\},"finish_reason":"stop"/)
      assert.ok(outcome.got.body.endsWith('data: [DONE]\n\n'))
      assert.equal(ROUTES.chat.textOfEvents(outcome.got.body).replace('2nd', ''), WORDS.join(''))
    },
  },
}
