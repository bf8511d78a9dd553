/**
 * How the bundles are meant to be started: `node --max-semi-space-size=8 dist/proxy.mjs`. Many streams make much short-lived memory; a
 * smaller young generation keeps it from piling up, at no cost of CPU that could be measured.
 */
export const NODE_FLAGS: readonly string[] = ['--max-semi-space-size=8']

/**
 * The same for an operator, most of whose memory is its proxies' connections: what the heap may grow by between collections is kept small,
 * at no cost of CPU that could be measured.
 */
export const OPERATOR_NODE_FLAGS: readonly string[] = ['--max-semi-space-size=2', '--heap-growing-percent=15', '--v8-pool-size=1']
