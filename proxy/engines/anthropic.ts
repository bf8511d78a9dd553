/** Anthropic's API, and servers that claim to be just like it: named by the resource, never recognised. Never probed with a credential. */
import type { EngineProfile } from './engine.ts'
import { generic } from './generic.ts'

export const anthropic: EngineProfile = {
  ...generic,
  engine: 'Anthropic',
  auth: { header: 'x-api-key', scheme: '' },
  recognise: () => false,
}
