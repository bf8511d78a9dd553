import type { Metadata } from '../resources/snapshot.ts'
import type { Fields } from '../validate/problem.ts'
import { fieldsOf, textMapOf, textOf } from '../validate/raw-fields.ts'

const OUR_ANNOTATIONS = 'llamaswap.dev/'

/** Annotations of others are left out: `kubectl apply` keeps the whole object in one. */
export function projectMetadata({ metadata }: Fields): Metadata {
  const { namespace, name, generation, creationTimestamp, labels, annotations } = fieldsOf(metadata)
  const createdAtMs = Date.parse(textOf(creationTimestamp))
  const ours = Object.entries(textMapOf(annotations)).filter(([key]) => key.startsWith(OUR_ANNOTATIONS))
  return {
    namespace: textOf(namespace),
    name: textOf(name),
    generation: typeof generation === 'number' ? generation : 0,
    ...(Number.isFinite(createdAtMs) ? { createdAtMs } : {}),
    labels: textMapOf(labels),
    annotations: Object.fromEntries(ours),
  }
}

/** What tells Services, slices and pods apart. */
export function projectName({ metadata }: Fields): Pick<Metadata, 'namespace' | 'name'> {
  const { namespace, name } = fieldsOf(metadata)
  return { namespace: textOf(namespace), name: textOf(name) }
}
