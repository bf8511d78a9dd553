import { SecretValue } from '../resources/secret-value.ts'
import {
  CLIENT_KEY_LABEL,
  type ClientKeyResource,
  type Labels,
  type Metadata,
  type ModelResource,
  NAMESPACE_NAME_LABEL,
  objectKey,
  type PolicyResource,
  type Resources,
  type SecretResource,
  type Settings,
} from '../resources/snapshot.ts'
import { digestClientKey } from './client-key-digest.ts'
import type { HeldObject, HeldObjects } from './held-objects.ts'
import { type Environment, type FileSecret, readSecretValues } from './secret-values.ts'
import type { LoadProblem } from './yaml.ts'

export interface Installation {
  readonly env: Environment
  readonly settings: Settings
}

export interface Made {
  readonly resources: Resources
  readonly problems: readonly LoadProblem[]
}

/** One moment of the files as translate reads it. Every namespace that an object is in exists, with its name as its label. */
export function makeResources(objects: HeldObjects, { env, settings }: Installation): Made {
  const models = new Map<string, ModelResource>()
  const policies = new Map<string, PolicyResource>()
  const secrets = new Map<string, SecretResource>()
  const clientKeys = new Map<string, ClientKeyResource>()
  const namespaces = new Map<string, Labels>()
  const problems: LoadProblem[] = []
  for (const held of objects.values()) {
    const { object } = held.document
    const metadata = readMetadata(held)
    const key = objectKey(metadata)
    if (object.kind === 'Namespace') {
      namespaces.set(metadata.name, namespaceLabels(metadata.name, metadata.labels))
      continue
    }
    if (object.kind === 'LlamaModel') models.set(key, { kind: 'LlamaModel', metadata, spec: object.spec })
    else if (object.kind === 'RoutingPolicy') policies.set(key, { kind: 'RoutingPolicy', metadata, spec: object.spec })
    else problems.push(...addSecret(held, object, metadata, { env, secrets, clientKeys }))
    if (!namespaces.has(metadata.namespace)) namespaces.set(metadata.namespace, namespaceLabels(metadata.namespace))
  }
  return { resources: { models, policies, secrets, clientKeys, namespaces, ...NO_CLUSTER, settings }, problems }
}

/** What files never hold. */
const NO_CLUSTER = { services: new Map(), slices: new Map(), pods: new Map(), tokenIssuers: [] } satisfies Partial<Resources>

const namespaceLabels = (name: string, labels: Labels = {}): Labels => ({ ...labels, [NAMESPACE_NAME_LABEL]: name })

function readMetadata({ document, generation }: HeldObject): Metadata {
  const { namespace, name, object } = document
  const { labels = {}, annotations = {}, creationTimestamp } = object.metadata
  // Files that came out of a cluster carry their age; it counts here as it does there.
  const createdAtMs = creationTimestamp === undefined ? Number.NaN : Date.parse(creationTimestamp)
  return {
    namespace,
    name,
    generation,
    labels,
    annotations,
    ...(Number.isFinite(createdAtMs) ? { createdAtMs: Math.max(0, createdAtMs) } : {}),
  }
}

interface SecretStores {
  readonly env: Environment
  readonly secrets: Map<string, SecretResource>
  readonly clientKeys: Map<string, ClientKeyResource>
}

function addSecret(
  held: HeldObject,
  secret: FileSecret,
  metadata: Metadata,
  { env, secrets, clientKeys }: SecretStores,
): readonly LoadProblem[] {
  const { values, mistakes } = readSecretValues(secret, env)
  const key = objectKey(metadata)
  if (metadata.labels[CLIENT_KEY_LABEL] === 'true') {
    clientKeys.set(key, { metadata, entries: [...values].map(([name, value]) => digestClientKey(name, value)) })
  } else {
    secrets.set(key, { metadata, entries: Object.fromEntries([...values].map(([name, value]) => [name, new SecretValue(value)])) })
  }
  return mistakes.map(({ path, message }) => ({
    file: held.file,
    line: held.document.lineOf(path),
    path,
    message,
    object: `Secret ${key}`,
  }))
}
