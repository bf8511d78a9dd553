/** The routing table of a benchmark: 50 models, one endpoint each, one client key. PURE. */
import type { Model, RoutingTable } from '../../proxy/routing-table/v1.ts'
import { plainBackend, plainModel } from '../support/table-defaults.ts'
import { LOAD_NAMES, LOADS, type LoadName } from './loads.ts'

const MODELS = 50

/** `originOf` says where the mock server of a load listens; models that no load asks for point at the first one. */
export function benchTable(originOf: (load: LoadName) => string, keySha256: string): RoutingTable {
  const fillers = Array.from({ length: MODELS - LOAD_NAMES.length }, (_, i) => ({
    name: `filler-${i + 1}`,
    load: LOAD_NAMES[0] ?? 'unary1k',
  }))
  const served = [...LOAD_NAMES.map((load) => ({ name: LOADS[load].model, load })), ...fillers]
  return {
    version: 1,
    epoch: 1,
    seq: 1,
    models: served.map(({ name }) => model(name)),
    policies: [],
    endpointSets: served.map(({ name, load }) => ({
      model: `bench/${name}`,
      backend: 'mock',
      endpoints: [{ id: `mock-${name}`, origin: originOf(load), basePath: '/v1' }],
    })),
    credentials: [],
    clientKeys: [{ client: 'bench/client', namespace: 'bench', sha256: keySha256 }],
  }
}

const model = (name: string): Model => plainModel(`bench/${name}`, { backends: [BACKEND] })

const BACKEND = plainBackend('mock', 'm', { capabilities: ['chat'], contextWindowTokens: 131_072, probed: true })
