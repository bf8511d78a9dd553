/**
 * What is asked for in a benchmark. PURE. Each load is a model: its name stands in the request, and its server (mock.c) answers in one
 * fixed way.
 */

export interface Load {
  readonly model: string
  /** How the mock server of this model answers; see mock.c. */
  readonly answers: string
  readonly bodyBytes: number
  readonly stream: boolean
}

export const LOADS = {
  unary1k: { model: 'bench-1k', answers: 'unary:1024', bodyBytes: 1024, stream: false },
  unary64k: { model: 'bench-64k', answers: 'unary:65536', bodyBytes: 65_536, stream: false },
  /** 50 events a second, 4 s long. */
  streams: { model: 'bench-stream', answers: 'sse:200:20:250', bodyBytes: 1024, stream: true },
  /** 10 events a second, 10 s long, so that a thousand of them at a time fit one core. */
  manyStreams: { model: 'bench-many-streams', answers: 'sse:100:100:250', bodyBytes: 1024, stream: true },
} as const satisfies Record<string, Load>

export type LoadName = keyof typeof LOADS

/** Names of LOADS, in order: a mock, an upstream and a port each. */
export const LOAD_NAMES: readonly LoadName[] = ['unary1k', 'unary64k', 'streams', 'manyStreams']

const TEXT = 'The quick brown fox jumps over the lazy dog, said \\"nobody\\" ever. \\n'

/** A chat request of exactly `bodyBytes` bytes (ASCII). */
export function requestBody(load: Load): string {
  const start = `{"model":"${load.model}","stream":${load.stream},"messages":[{"role":"user","content":"`
  const end = '"}]}'
  const room = load.bodyBytes - start.length - end.length
  const whole = TEXT.repeat(Math.floor(room / TEXT.length))
  return start + whole + 'x'.repeat(room - whole.length) + end
}
