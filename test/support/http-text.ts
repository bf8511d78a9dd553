/** One HTTP/1.1 message as it went over a wire. */
export interface WireMessage {
  /** A request's path; '' for a response. */
  readonly target: string
  /** Names in lower case, in order. */
  readonly headers: readonly (readonly [string, string])[]
  /** UTF-8, without the framing of chunks. */
  readonly body: string
}

/** Cuts recorded bytes (as latin1 text) into messages; an incomplete last one has the body that has come. */
export function messagesOf(text: string): WireMessage[] {
  const messages: WireMessage[] = []
  let at = 0
  while (at < text.length) {
    const headEnd = text.indexOf('\r\n\r\n', at)
    if (headEnd === -1) return messages
    const [first = '', ...lines] = text.slice(at, headEnd).split('\r\n')
    const headers = lines.map((line): readonly [string, string] => [
      line.slice(0, line.indexOf(':')).toLowerCase(),
      line.slice(line.indexOf(':') + 1).trim(),
    ])
    const body = bodyAt(text, headEnd + 4, new Map(headers))
    messages.push({
      target: first.startsWith('HTTP/') ? '' : (first.split(' ')[1] ?? ''),
      headers,
      body: Buffer.from(body.text, 'latin1').toString('utf8'),
    })
    at = body.end
  }
  return messages
}

function bodyAt(text: string, start: number, headers: ReadonlyMap<string, string>): { text: string; end: number } {
  if (headers.get('transfer-encoding') === 'chunked') return dechunked(text, start)
  const end = start + Number(headers.get('content-length') ?? 0)
  return { text: text.slice(start, end), end }
}

function dechunked(text: string, start: number): { text: string; end: number } {
  let at = start
  let body = ''
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at)
    const size = lineEnd === -1 ? Number.NaN : Number.parseInt(text.slice(at, lineEnd), 16)
    if (!(size > 0)) return { text: body, end: lineEnd === -1 ? text.length : lineEnd + 4 }
    body += text.slice(lineEnd + 2, lineEnd + 2 + size)
    at = lineEnd + 2 + size + 2
  }
}
