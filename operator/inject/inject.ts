/**
 * Whether a Pod gets a sidecar, and what that changes. In: a Pod as it is about to be made, and the installation's settings. Out: a JSON
 * patch, or a reason why not; and warnings for whoever made the Pod. The same Pod with the patch applied has an empty one. A Pod is never
 * refused. PURE.
 */
import type { Fields } from '../validate/problem.ts'
import { fieldsOf } from '../validate/raw-fields.ts'
import { amountsOf, type Neighbours } from './amounts.ts'
import { CONTAINERS, INJECTED, NOT_INJECTED, QUITS, REFUSALS, type RefusalReason, SIDECAR_LABEL, type SidecarSettings } from './names.ts'
import { type Operation, Patch } from './patch.ts'
import { portsOf, type SidecarPorts } from './ports.ts'
import { isInjected, isOurs, othersOf, type PodParts, partsOf, refusalOf } from './refusal.ts'
import { DEFAULT_GRACE_SECONDS, type SidecarOfPod, sidecarContainer, sidecarVolumes } from './sidecar.ts'
import { BASE_URL, baseUrlOf, variablesFor } from './variables.ts'

/** Completed: it had a sidecar, and a container that was added since has got its variables. */
export const RESULTS = ['Injected', 'Completed', 'Unchanged', ...REFUSALS] as const
export type InjectionResult = (typeof RESULTS)[number]

export interface Verdict {
  readonly result: InjectionResult
  readonly patch: readonly Operation[]
  readonly warnings: readonly string[]
}

/** `version`: of what is injected, left at the Pod so that upgrades find old ones. */
export function inject(pod: Fields, namespace: string, settings: SidecarSettings, version: string): Verdict {
  const parts = partsOf(pod, namespace)
  const warnings: string[] = []
  const ports = portsOf(parts.annotations, (message) => warnings.push(message))
  const refusal = refusalOf(parts, settings, ports)
  if (refusal !== undefined) return refusedVerdict(pod, parts, refusal)
  const patch = new Patch(pod)
  addVariables(patch, parts, settings, ports, (message) => warnings.push(message))
  if (!isInjected(parts)) {
    const amounts = amountsOf(parts.annotations, neighboursOf(parts), (message) => warnings.push(message))
    addSidecar(patch, parts, settings, { ports, amounts })
  }
  patch.set('labels', SIDECAR_LABEL, 'true')
  if (!isInjected(parts)) patch.set('annotations', INJECTED, version)
  patch.unset('annotations', NOT_INJECTED)
  const { operations } = patch
  const again = operations.length === 0 ? 'Unchanged' : 'Completed'
  return { result: isInjected(parts) ? again : 'Injected', patch: operations, warnings }
}

/** It stays at the Pod why it has none: the audit reads it, and people do. */
function refusedVerdict(pod: Fields, { annotations }: PodParts, { reason, message }: { reason: RefusalReason; message: string }): Verdict {
  if (reason === 'NotAsked' || reason === 'HasOwn') return { result: reason, patch: [], warnings: [] }
  const patch = new Patch(pod)
  if (annotations[NOT_INJECTED] !== reason) patch.set('annotations', NOT_INJECTED, reason)
  return { result: reason, patch: patch.operations, warnings: [`no llama-swap sidecar: ${message}`] }
}

function addSidecar(
  patch: Patch,
  { spec, annotations }: PodParts,
  settings: SidecarSettings,
  { ports, amounts }: Pick<SidecarOfPod, 'ports' | 'amounts'>,
): void {
  const grace = spec['terminationGracePeriodSeconds']
  const graceSeconds = typeof grace === 'number' ? grace : DEFAULT_GRACE_SECONDS
  const container = sidecarContainer(settings, { ports, amounts, graceSeconds, quits: annotations[QUITS] === 'true' })
  if (settings.mode === 'Native') patch.first(['initContainers'], container)
  else patch.last(['containers'], container)
  for (const volume of sidecarVolumes()) patch.last(['volumes'], volume)
}

/** Init containers too, where the sidecar runs before them. */
function addVariables(
  patch: Patch,
  parts: PodParts,
  { mode }: SidecarSettings,
  { inference }: SidecarPorts,
  warn: (message: string) => void,
): void {
  const named = parts.annotations[CONTAINERS]?.split(',').map((name) => name.trim())
  const lists = mode === 'Native' ? (['initContainers', 'containers'] as const) : (['containers'] as const)
  for (const list of lists) {
    for (const [index, container] of parts[list].entries()) {
      const name = String(container['name'])
      if (isOurs(container) || named?.includes(name) === false) continue
      const variables = variablesFor(container, inference, named !== undefined)
      if (variables === 'unsure') warn(unsureText(name, inference))
      else for (const variable of variables.toReversed()) patch.first([list, index, 'env'], variable)
    }
  }
  for (const name of named ?? [])
    if (!othersOf(parts).some((container) => container['name'] === name))
      warn(`${CONTAINERS}: there is no container "${name.slice(0, 63)}".`)
}

const unsureText = (name: string, port: number): string =>
  `container ${name} may have ${BASE_URL} from envFrom, so it is not set. Set it to ${baseUrlOf(port)}, or name the container in ${CONTAINERS}.`

function neighboursOf({ spec, containers }: PodParts): Neighbours {
  const resources = containers.map((container) => {
    const { limits, requests } = fieldsOf(container['resources'])
    return { limits: fieldsOf(limits), requests: fieldsOf(requests) }
  })
  const isEqual = (resource: string): boolean =>
    resources.every(
      ({ limits, requests }) => limits[resource] !== undefined && (requests[resource] ?? limits[resource]) === limits[resource],
    )
  return {
    ofPod: Object.keys(fieldsOf(spec['resources'])).length > 0,
    limitCpu: resources.length > 0 && resources.every(({ limits }) => limits['cpu'] !== undefined),
    areGuaranteed: resources.length > 0 && isEqual('cpu') && isEqual('memory'),
  }
}
