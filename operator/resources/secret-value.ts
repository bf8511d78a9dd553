const REDACTED = '[redacted]'

/** A value that must not be printed: `String(x)`, JSON and `console.log` all say "[redacted]". Only `reveal()` gives it. */
export class SecretValue {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** Callers: the table's credentials, and the digest of client keys. Nobody else needs it. */
  reveal(): string {
    return this.#value
  }

  toString(): string {
    return REDACTED
  }

  toJSON(): string {
    return REDACTED
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return REDACTED
  }
}
