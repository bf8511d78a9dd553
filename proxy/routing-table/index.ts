/**
 * The contract between operator and proxy. In: JSON from the wire or a file. Out: a `RoutingTable` (v1.ts), compiled once into frozen
 * look-up maps (compile.ts). PURE: no I/O, no clock. Reads version 1 and writes version 1; any other is refused with a reason, and the
 * caller keeps its last good table. The only module of `proxy/` that `operator/` may import.
 */
export { compileCel } from './cel/cel.ts'
export * from './compile.ts'
export * from './compiled.ts'
export { isKnownRoute } from './known-routes.ts'
export { parseTable, READS_VERSIONS } from './parse.ts'
export { isTimeZone } from './time-zone.ts'
export * from './v1.ts'
