import { setImmediate as turn } from 'node:timers/promises'

const NEW_LINE = 0x0a
/** A stream that has much to give would else keep everything else waiting for hundreds of milliseconds. */
const LINES_PER_TURN = 50

/**
 * Cuts bytes into lines, without their line breaks. A last line without a break is given too: who reads it finds it cut. Throws a RangeError
 * once a line exceeds `maxBytes`.
 */
export async function* linesOf(bytes: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<string, void> {
  let held: Uint8Array[] = []
  let heldBytes = 0
  let lines = 0
  for await (const chunk of bytes) {
    let from = 0
    for (let at = chunk.indexOf(NEW_LINE); at !== -1; at = chunk.indexOf(NEW_LINE, from)) {
      lines += 1
      if (lines % LINES_PER_TURN === 0) await turn()
      yield textOf([...held, chunk.subarray(from, at)])
      held = []
      heldBytes = 0
      from = at + 1
    }
    const rest = chunk.subarray(from)
    heldBytes += rest.length
    if (heldBytes > maxBytes) throw new RangeError(`a line exceeds ${maxBytes} bytes`)
    if (rest.length > 0) held.push(rest)
  }
  if (held.length > 0) yield textOf(held)
}

const textOf = (chunks: readonly Uint8Array[]): string => Buffer.concat(chunks).toString('utf8')
