/** A plain (unquoted) YAML scalar: its value, or why it means different things to different readers. */
export type Scalar = { readonly value: string | number | boolean | null } | { readonly ambiguous: string }

const NULL = /^(~|null|Null|NULL)?$/
const TRUE = /^(true|True|TRUE)$/
const FALSE = /^(false|False|FALSE)$/
const YES = /^(y|Y|yes|Yes|YES|on|On|ON)$/
const NO = /^(n|N|no|No|NO|off|Off|OFF)$/
const INTEGER = /^([-+]?(0|[1-9][0-9]*)|0x[0-9A-Fa-f]+|0o[0-7]+)$/
const FLOAT = /^[-+]?([.][0-9]+|[0-9]+[.][0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?$/
/** 012 is ten in YAML 1.1 and twelve in 1.2. */
const OCTAL = /^[-+]?0[0-9]+$/
/** 1_000, 0b11 and -0x1f are numbers in YAML 1.1 and text in 1.2; so is 1:30, which is ninety. */
const OLD_NUMBER = /^[-+]?(0b[01_]+|0x[0-9A-Fa-f_]+|[0-9][0-9_]*[.]?[0-9_]*|[0-9][0-9_]*(:[0-5]?[0-9])+([.][0-9_]*)?)$/
const NOT_FINITE = /^([-+]?[.](inf|Inf|INF)|[.](nan|NaN|NAN))$/

/** The cluster's tools read YAML 1.1, most others 1.2. What differs is refused here, so that one file means one thing. */
export function readPlainScalar(text: string): Scalar {
  if (NULL.test(text)) return { value: null }
  if (TRUE.test(text)) return { value: true }
  if (FALSE.test(text)) return { value: false }
  if (YES.test(text))
    return { ambiguous: `plain ${text} is true for kubectl and text for other readers: write true, or "${text}" in quotes` }
  if (NO.test(text))
    return { ambiguous: `plain ${text} is false for kubectl and text for other readers: write false, or "${text}" in quotes` }
  if (INTEGER.test(text) || FLOAT.test(text)) return { value: Number(text) }
  if (OCTAL.test(text))
    return { ambiguous: `plain ${text} is octal for kubectl and decimal for other readers: leave out the zero, or put it in quotes` }
  if (OLD_NUMBER.test(text))
    return { ambiguous: `plain ${text} is a number for some readers and text for others: write it in decimal, or put it in quotes` }
  if (NOT_FINITE.test(text)) return { ambiguous: `${text} has no place in a resource: write a number, or put it in quotes` }
  return { value: text }
}
