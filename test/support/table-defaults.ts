/** Entries of a table as a plain LlamaModel makes them: what a test does not give has its default. The only place in tests that lists them. */
import type { Backend, Model } from '../../proxy/routing-table/v1.ts'

/** In the namespace of `ref`, under its own name, with no backend. */
export const plainModel = (ref: string, given: Partial<Model> = {}): Model => ({
  ref,
  generation: 1,
  names: [ref.slice(ref.indexOf('/') + 1)],
  aliases: [],
  visibility: 'Public',
  access: { from: 'Same' },
  weight: 1,
  priority: 0,
  loadBalancing: 'PowerOfTwo',
  retry: {},
  passthrough: { enabled: false, forwardAuth: false },
  backends: [],
  ...given,
})

export const plainBackend = (name: string, upstreamModel: string, given: Partial<Backend> = {}): Backend => ({
  name,
  weight: 1,
  priority: 0,
  engine: 'Generic',
  upstreamModel,
  health: {},
  signals: {},
  timeouts: {},
  headers: [],
  probed: false,
  simulated: false,
  ...given,
})
