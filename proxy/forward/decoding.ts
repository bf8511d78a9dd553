import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib'

/** Decoders by content coding; "identity" needs none. An answer is encoded only by an engine that ignores our `accept-encoding: identity`. */
const DECODERS = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
} as const

type Coding = keyof typeof DECODERS
const isCoding = (name: string): name is Coding => Object.hasOwn(DECODERS, name)

export interface Decoder {
  /** False: the caller pauses the upstream until `onDrain`. */
  push(chunk: Buffer): boolean
  end(): void
  destroy(): void
}

/** Undefined = the coding is unknown. The decoded bytes come by `onData`, the end or a broken encoding by `onEnd`. */
export function decoderFor(
  coding: string,
  to: { onData: (chunk: Buffer) => void; onDrain: () => void; onEnd: (error: Error | undefined) => void },
): Decoder | undefined {
  const name = coding.trim().toLowerCase()
  if (!isCoding(name)) return undefined
  const stream = DECODERS[name]()
  stream.on('data', to.onData)
  stream.on('drain', to.onDrain)
  stream.on('end', () => to.onEnd(undefined))
  stream.on('error', to.onEnd)
  return { push: (chunk) => stream.write(chunk), end: () => stream.end(), destroy: () => stream.destroy() }
}
