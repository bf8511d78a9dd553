export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export type LogFields = Readonly<Record<string, unknown>>

/** One JSON line a call. Fields whose name speaks of a secret are replaced by "[redacted]", at any depth. */
export type Logger = Readonly<Record<LogLevel, (message: string, fields?: LogFields) => void>>

export interface LoggerOptions {
  /** Takes one line with its line feed. */
  readonly write: (line: string) => void
  readonly level: LogLevel
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export const reaches = (level: LogLevel, least: LogLevel): boolean => LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(least)

export function createLogger({ write, level: least, now }: LoggerOptions): Logger {
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void => {
      if (!reaches(level, least)) return
      write(`${JSON.stringify({ time: new Date(now()).toISOString(), level, msg: message, ...plainFields(fields, 0) })}\n`)
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

const MAX_DEPTH = 4
const MAX_ITEMS = 100
const MAX_TEXT = 8192
const SECRET_WORDS: ReadonlySet<string> = new Set([
  'authorization',
  'bearer',
  'cookie',
  'credential',
  'credentials',
  'key',
  'keys',
  'password',
  'secret',
  'secrets',
  'token',
])

/** Whether one of the words of "apiKey", "x-api-key" or "client_secret" is a secret's. Counts such as "input_tokens" are none. */
const isSecret = (name: string): boolean =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .some((word) => SECRET_WORDS.has(word) || word === 'apikey')

function plainFields(fields: LogFields, depth: number): Record<string, unknown> {
  const plain: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields).slice(0, MAX_ITEMS))
    plain[name] = isSecret(name) ? '[redacted]' : plainValue(value, depth + 1)
  return plain
}

/** A bounded copy that JSON can hold: errors become their parts, what lies too deep (a cycle, say) becomes "[…]". */
function plainValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (depth > MAX_DEPTH) return '[…]'
  if (value instanceof Error)
    return plainFields(
      { name: value.name, message: value.message, stack: value.stack, ...(value.cause !== undefined && { cause: value.cause }) },
      depth,
    )
  if (value instanceof Date) return value.toJSON()
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => plainValue(item, depth + 1))
  return plainFields(Object.fromEntries(Object.entries(value)), depth)
}
