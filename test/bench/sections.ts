/** docs/benchmarks.md has parts that several programs write. PURE. */

/** The headings at which parts begin; before the first of them stands the part of `make bench`. */
const PARTS = '\n## What each part costs\n'
const CONTROL_PLANE = '\n## Control plane\n'
const SOAK = '\n## Soak\n'
const CONTINUATION = '\n## Streams that break\n'
const ESTIMATES = '\n## Token estimates\n'
const ROUTING = {
  virtual: '\n## Routing, in virtual time\n',
  sockets: '\n## Routing, over sockets\n',
  engines: '\n## Routing, on real engines\n',
} as const
const AFFINITY = '\n## Affinity\n'
const HEADINGS = [PARTS, CONTROL_PLANE, SOAK, CONTINUATION, ESTIMATES, ...Object.values(ROUTING), AFFINITY]

/** `text` as the first part, before what `document` has as its others. */
export const withFirstPart = (document: string, text: string): string => joined(text, partsOf(document))

/** `text` as the part of costs, behind the first one. */
export const withParts = (document: string, text: string): string => withPart(document, PARTS, text)

/** `text` as the part of the control plane, between what `document` has as its others. */
export const withControlPlane = (document: string, text: string): string => withPart(document, CONTROL_PLANE, text)

/** `text` as the part of the soak, between what `document` has as its others. */
export const withSoak = (document: string, text: string): string => withPart(document, SOAK, text)

/** `text` as the part of broken streams, between what `document` has as its others. */
export const withContinuation = (document: string, text: string): string => withPart(document, CONTINUATION, text)

/** `text` as the part of estimates, between what `document` has as its others. */
export const withEstimates = (document: string, text: string): string => withPart(document, ESTIMATES, text)

/** `text` as one of the parts of routing. */
export const withRouting = (document: string, part: keyof typeof ROUTING, text: string): string => withPart(document, ROUTING[part], text)

/** `text` as the part of affinity, the last one. */
export const withAffinity = (document: string, text: string): string => withPart(document, AFFINITY, text)

const withPart = (document: string, heading: string, text: string): string =>
  joined(firstPart(document), partsOf(document).set(heading, text))

const joined = (first: string, parts: ReadonlyMap<string, string>): string =>
  [first.trim(), ...HEADINGS.flatMap((heading) => (parts.has(heading) ? [`${heading}\n${parts.get(heading)?.trim()}`] : []))].join('\n') +
  '\n'

const startOf = (document: string, heading: string): number => {
  const found = document.indexOf(heading)
  return found < 0 ? document.length : found
}

const firstPart = (document: string): string => document.slice(0, Math.min(...HEADINGS.map((heading) => startOf(document, heading))))

function partsOf(document: string): Map<string, string> {
  const parts = new Map<string, string>()
  for (const heading of HEADINGS) {
    const start = startOf(document, heading)
    const end = Math.min(...HEADINGS.map((each) => startOf(document, each)).filter((at) => at > start), document.length)
    if (start < document.length) parts.set(heading, document.slice(start + heading.length, end))
  }
  return parts
}
