import type { Access } from '../../proxy/routing-table/index.ts'
import type { Access as AccessSpec } from '../resources/crds.generated.ts'
import type { Resources } from '../resources/snapshot.ts'
import { byText } from './precedence.ts'

/** A selector becomes the namespaces that have its labels now; translate runs again when their labels change. */
export function translateAccess(access: AccessSpec, namespaces: Resources['namespaces']): Access {
  if (access.from === 'All') return { from: 'All' }
  if (access.from !== 'Selector') return { from: 'Same' }
  const wanted = Object.entries(access.selector?.matchLabels ?? {})
  const chosen = [...namespaces].filter(([, labels]) => wanted.every(([label, value]) => labels[label] === value))
  return { from: 'Namespaces', namespaces: chosen.map(([name]) => name).sort(byText) }
}
