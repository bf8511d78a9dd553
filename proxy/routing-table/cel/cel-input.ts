/** What an expression sees. Whole numbers of ours are BigInt, as CEL's are; numbers of the request are doubles. Nothing is read that no expression asks for. */
export interface CelInput {
  /** The body as the client sent it. */
  readonly request: Readonly<Record<string, unknown>>
  readonly client: Readonly<Record<string, string>>
  /** Lower-case names; of several values the first; no credentials. */
  readonly headers: Readonly<Record<string, string>>
  readonly facts: Readonly<Record<string, unknown>>
}
