/**
 * How the bundles are meant to be started: `node --max-semi-space-size=8 dist/proxy.mjs`. Many streams make much short-lived memory; a
 * smaller young generation keeps it from piling up, at no cost of CPU that could be measured.
 */
export const NODE_FLAGS: readonly string[] = ['--max-semi-space-size=8']

/** The same for an operator: its heap is collected before it has grown by a quarter, which costs little where little happens. */
export const OPERATOR_NODE_FLAGS: readonly string[] = [...NODE_FLAGS, '--heap-growing-percent=25']
