import { CAPABILITIES, type Capability } from '../routing-table/v1.ts'

/** Capabilities as bits, to be asked of many models at once. */
export function capabilitySet(capabilities: readonly Capability[]): number {
  let set = 0
  for (const capability of capabilities) set |= 1 << CAPABILITIES.indexOf(capability)
  return set
}

export const EVERY_CAPABILITY = capabilitySet(CAPABILITIES)
