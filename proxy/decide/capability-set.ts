import { type Backend, CAPABILITIES, type Capability } from '../routing-table/v1.ts'
import type { EndpointView } from './endpoint-view.ts'

/** What an engine is taken to do when neither the resource nor the engine itself says. */
const ASSUMED: readonly Capability[] = ['chat', 'completions', 'tools']

/** What an endpoint can do; undefined = unknown yet. A 501 takes some of it away. */
export const capabilitiesIn = (backend: Backend, view: EndpointView): readonly Capability[] | undefined =>
  backend.capabilities ?? view.capabilities ?? (view.settled ? ASSUMED : undefined)

/** Capabilities as bits, to be asked of many models at once. */
export function capabilitySet(capabilities: readonly Capability[]): number {
  let set = 0
  for (const capability of capabilities) set |= 1 << CAPABILITIES.indexOf(capability)
  return set
}

export const EVERY_CAPABILITY = capabilitySet(CAPABILITIES)
