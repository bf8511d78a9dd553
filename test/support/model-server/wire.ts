import type { Received } from './script.ts'

const HEAD_END = '\r\n\r\n'

/** Cuts HTTP/1.1 requests from a byte stream: just enough for a well-behaved client, so that a test sees exactly what was sent. */
export class RequestCutter {
  #bytes = Buffer.alloc(0)

  push(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
  }

  /** Undefined: the next request is not complete. */
  next(): Received | undefined {
    const headEnd = this.#bytes.indexOf(HEAD_END)
    if (headEnd === -1) return undefined
    const [first = '', ...lines] = this.#bytes.toString('latin1', 0, headEnd).split('\r\n')
    const [method = '', path = ''] = first.split(' ')
    const headers = lines.map((line): readonly [string, string] => [
      line.slice(0, line.indexOf(':')),
      line.slice(line.indexOf(':') + 1).trim(),
    ])
    const body = this.#body(headEnd + HEAD_END.length, headers)
    return body === undefined ? undefined : { method, path, headers, body }
  }

  #body(start: number, headers: Received['headers']): string | undefined {
    const field = (name: string): string | undefined => headers.find(([each]) => each.toLowerCase() === name)?.[1]
    if (field('transfer-encoding') === 'chunked') return this.#chunked(start)
    const end = start + Number(field('content-length') ?? 0)
    return this.#bytes.length < end ? undefined : this.#take(start, end, end)
  }

  #chunked(start: number): string | undefined {
    const end = this.#bytes.indexOf('0\r\n\r\n', start)
    return end === -1 ? undefined : this.#take(start, end, end + 5)
  }

  #take(start: number, end: number, next: number): string {
    const body = this.#bytes.toString('utf8', start, end)
    this.#bytes = this.#bytes.subarray(next)
    return body
  }
}
