export type Environment = Readonly<Record<string, string | undefined>>

/** A Secret as it stands in a file. */
export interface FileSecret {
  readonly data?: Readonly<Record<string, string>>
  readonly stringData?: Readonly<Record<string, string>>
}

export interface SecretValues {
  readonly values: ReadonlyMap<string, string>
  readonly mistakes: readonly { readonly path: string; readonly message: string }[]
}

const VARIABLE = /^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$/
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/**
 * Reads the entries of a Secret: `stringData` goes before `data` (base64), as in a cluster. A value that is exactly `${NAME}` comes from the environment;
 * one that cannot be had is left out and told. Messages name entries and variables, never values. PURE.
 */
export function readSecretValues({ data = {}, stringData = {} }: FileSecret, env: Environment): SecretValues {
  const values = new Map<string, string>()
  const mistakes: { path: string; message: string }[] = []
  const take = (path: string, name: string, read: { value: string } | { message: string }): void => {
    if ('value' in read) values.set(name, read.value)
    else mistakes.push({ path, message: read.message })
  }
  for (const [name, text] of Object.entries(data)) take(`data.${name}`, name, fromEnvironment(text, env) ?? decode(name, text))
  for (const [name, text] of Object.entries(stringData)) take(`stringData.${name}`, name, fromEnvironment(text, env) ?? { value: text })
  return { values, mistakes }
}

function fromEnvironment(text: string, env: Environment): { value: string } | { message: string } | undefined {
  const variable = VARIABLE.exec(text)?.[1]
  if (variable === undefined) return undefined
  const value = Object.hasOwn(env, variable) ? env[variable] : undefined
  return value === undefined ? { message: `The environment has no variable ${variable}. Set it, or write the value here.` } : { value }
}

function decode(name: string, text: string): { value: string } | { message: string } {
  const compact = text.replaceAll(/\s/g, '')
  return BASE64.test(compact)
    ? { value: Buffer.from(compact, 'base64').toString('utf8') }
    : { message: `The entry "${name}" is not base64. Encode it, or write it as it is under stringData.` }
}
