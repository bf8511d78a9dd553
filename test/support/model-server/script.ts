/** What a scripted backend does with one request, step by step, and what it tells of it. Plain JSON: it goes over a pipe. */
export type Step =
  /** One write of exactly these bytes; `base64` where they are no text. */
  | { readonly do: 'send'; readonly text: string }
  | { readonly do: 'sendBytes'; readonly base64: string }
  /** One HTTP chunk in one write. */
  | { readonly do: 'chunk'; readonly text: string }
  /** The same chunk again and again, as fast as the reader takes it. */
  | { readonly do: 'flood'; readonly text: string; readonly times: number }
  /** Until the test opens this gate. */
  | { readonly do: 'wait'; readonly gate: string }
  | { readonly do: 'pause'; readonly ms: number }
  /** The terminating chunk: the answer is whole, the connection stays. */
  | { readonly do: 'end' }
  /** FIN, wherever the answer stands. */
  | { readonly do: 'close' }
  /** RST. */
  | { readonly do: 'reset' }
  /** Nothing more, until the other side leaves. */
  | { readonly do: 'hang' }
  /** What is done depends on whether the request's body holds this text. */
  | { readonly do: 'if'; readonly body: string; readonly yes: readonly Step[]; readonly no: readonly Step[] }

export type Answer = readonly Step[]

export type Command =
  | { readonly do: 'open'; readonly name: string; readonly answers: readonly Answer[] }
  /** From now on: the first request gets the first answer, those behind the last get the last. */
  | { readonly do: 'script'; readonly name: string; readonly answers: readonly Answer[] }
  | { readonly do: 'go'; readonly name: string; readonly gate: string }
  | { readonly do: 'ping'; readonly number: number }

/** `atMs`: the backend's own clock, milliseconds since the epoch. */
export type Report =
  | { readonly kind: 'opened'; readonly name: string; readonly port: number }
  | { readonly kind: 'pong'; readonly number: number }
  | ({ readonly kind: 'request'; readonly name: string; readonly id: number; readonly atMs: number } & Received & {
        readonly connection: number
      })
  /** All steps were taken. */
  | { readonly kind: 'done'; readonly name: string; readonly id: number; readonly atMs: number; readonly bytes: number }
  /** The other side left before that. */
  | { readonly kind: 'gone'; readonly name: string; readonly id: number; readonly atMs: number; readonly bytes: number }

export interface Received {
  readonly method: string
  readonly path: string
  /** As they came: order, case and doubles kept. */
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
}
