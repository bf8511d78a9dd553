/** docs/benchmarks.md has two parts that two programs write. PURE. */

export const CONTROL_PLANE = '\n## Control plane\n'

/** `text` as the first part, before what `document` has as its second. */
export const withFirstPart = (document: string, text: string): string => `${text.trimEnd()}\n${secondPart(document)}`

/** `text` as the second part, after what `document` has as its first. */
export const withControlPlane = (document: string, text: string): string =>
  `${firstPart(document).trimEnd()}\n${CONTROL_PLANE}\n${text.trim()}\n`

const at = (document: string): number => {
  const found = document.indexOf(CONTROL_PLANE)
  return found < 0 ? document.length : found
}

const firstPart = (document: string): string => document.slice(0, at(document))
const secondPart = (document: string): string => document.slice(at(document))
