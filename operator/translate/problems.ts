/**
 * Every mistake a user can make in a resource that its schema cannot see. A closed list: codes never change meaning, and each has a case in `cases/`.
 * `condition` is the one of the object's conditions that turns False, with the code as reason; Secrets have none, so theirs end as events.
 * Messages say what to do next and never hold a secret.
 */
interface ProblemRow {
  readonly condition: 'Accepted' | 'ResolvedRefs' | 'none'
  says(subject: string, other: string): string
}

export const PROBLEMS = {
  Conflicted: {
    condition: 'Accepted',
    says: (name, winner) => `The name "${name}" belongs to ${winner}, which came first. Choose another name or delete one of the two.`,
  },

  UrlInvalid: {
    condition: 'Accepted',
    says: (url) =>
      `"${url}" is not a usable address, so this backend is left out. Write scheme, host and a port up to 65535, such as http://host:8000.`,
  },
  AddressForbidden: {
    condition: 'Accepted',
    says: (host, more) =>
      `Backends of this namespace may not use the address "${host}"${more === '' ? '' : ` (and ${more} more)`}, so it gets no requests. Name the engine's own address, or have the installation allow it.`,
  },
  HostUnqualified: {
    condition: 'Accepted',
    says: (host, namespace) =>
      `"${host}" means another host in each namespace, so this backend is left out. Use "service", or write ${host}.${namespace}.svc.`,
  },
  NeedsCluster: {
    condition: 'Accepted',
    says: (field) => `"${field}" finds engines in a cluster, and here is none, so this backend is left out. Use "url".`,
  },
  HeaderIsCredential: {
    condition: 'Accepted',
    says: (name) => `The header "${name}" carries this backend's credential, so the fixed value is not sent. Remove it from headers.`,
  },
  BackendsWeightless: {
    condition: 'Accepted',
    says: () => 'All backends that are left have weight 0, so none gets traffic. Give one a weight above 0, or repair one that has it.',
  },
  NoBackend: {
    condition: 'Accepted',
    says: () => 'No backend is usable, so requests for this model are refused. Repair one: each has its own message.',
  },

  QueueTooLarge: {
    condition: 'Accepted',
    says: (bytes) => `"${bytes}" is more than a queue may hold, so its limit is 1Ti. Give less.`,
  },
  RouteKnown: {
    condition: 'Accepted',
    says: (path) => `"${path}" is a route of every model, so it cannot be an extra one. Remove it from extraRoutes.`,
  },

  ServiceNotFound: {
    condition: 'ResolvedRefs',
    says: (service) => `There is no Service "${service}", so this backend is left out. Create it in this namespace or correct the name.`,
  },
  ServicePortNotFound: {
    condition: 'ResolvedRefs',
    says: (service, port) =>
      `The Service "${service}" has no port "${port}", so this backend is left out. Name one of the ports in its spec, not the pods' own.`,
  },
  ServiceHeadless: {
    condition: 'ResolvedRefs',
    says: (service) =>
      `The Service "${service}" is headless and has no address of its own, so this backend is left out. Use resolution: Endpoints.`,
  },
  EndpointsByName: {
    condition: 'ResolvedRefs',
    says: (service) =>
      `The Service "${service}" has EndpointSlices of host names, which get no requests. Use slices of addresses, or "url" for a host name.`,
  },
  PodPortNotFound: {
    condition: 'ResolvedRefs',
    says: (port) => `None of the pods has a container port named "${port}", so none gets requests. Correct the name or give its number.`,
  },

  SecretNotFound: {
    condition: 'ResolvedRefs',
    says: (secret) => `There is no Secret "${secret}". Create it in this namespace or correct the name.`,
  },
  SecretKeyNotFound: {
    condition: 'ResolvedRefs',
    says: (secret, key) => `The Secret "${secret}" has no entry "${key}". Add it or correct the key.`,
  },
  SecretIsClientKeys: {
    condition: 'ResolvedRefs',
    says: (secret) =>
      `The Secret "${secret}" holds client keys, which are never sent to a backend. Put the backend's credential into a Secret of its own.`,
  },
  CredentialUnusable: {
    condition: 'ResolvedRefs',
    says: (secret, key) =>
      `The entry "${key}" of the Secret "${secret}" is empty or has characters that no header may carry. Store the key alone, as plain ASCII.`,
  },
  NoCredential: {
    condition: 'ResolvedRefs',
    says: (backend) => `The backend "${backend}" is left out, as none of its credentials is usable and it must not be called without one.`,
  },

  TargetNotFound: {
    condition: 'ResolvedRefs',
    says: (model, namespace) =>
      `There is no LlamaModel "${model}" in namespace "${namespace}". Targets name objects (metadata.name), not served names; write namespace/name for another namespace.`,
  },
  TargetNotShared: {
    condition: 'ResolvedRefs',
    says: (model, namespace) =>
      `There is no LlamaModel "${model}" that namespace "${namespace}" may use. Check the name, and that the model's spec.access admits this namespace.`,
  },
  TargetDuplicate: {
    condition: 'Accepted',
    says: (model, first) => `"${model}" is the same model as "${first}" above, so it is left out. Name each model once.`,
  },
  TargetsWeightless: {
    condition: 'Accepted',
    says: () => 'All usable targets have weight 0, so none is chosen. Give a target, or the spec.weight of its model, a value above 0.',
  },
  PolicyNotFound: {
    condition: 'ResolvedRefs',
    says: (policy, namespace) =>
      `There is no RoutingPolicy "${policy}" that namespace "${namespace}" may use. Name an object (metadata.name), not a virtual model; write namespace/name for another namespace, whose spec.access must admit this one.`,
  },
  FallbackCycle: {
    condition: 'Accepted',
    says: (cycle) => `Fallbacks lead back here: ${cycle}. This one is left out; remove it, or one of the others.`,
  },
  TimeZoneUnknown: {
    condition: 'Accepted',
    says: (zone) => `"${zone}" is no time zone, so it is never time. Write a name of the IANA database, such as Europe/Berlin or UTC.`,
  },
  ExpressionInvalid: {
    condition: 'Accepted',
    says: (place, message) => `At ${place}: ${message}. Until it is repaired nothing matches here.`,
  },
  RuleNameTaken: {
    condition: 'Accepted',
    says: (name) => `"${name}" is the name of the rule that the policy's own targets make. Give this rule another.`,
  },
  NothingContinues: {
    condition: 'Accepted',
    says: () =>
      'No target can go on where another stopped, so streams that break end with an error. Give one the capability prefixContinuation, or leave interrupt out.',
  },
  CostUnknown: {
    condition: 'Accepted',
    says: (model, more) =>
      `What "${model}"${more === '' ? '' : ` (and ${more} more)`} costs is unknown and does not count towards costPerDay. Give its backends prices for input and output, "0" if they are free.`,
  },
  CeilingUnknown: {
    condition: 'Accepted',
    says: (model, more) =>
      `What "${model}"${more === '' ? '' : ` (and ${more} more)`} costs is unknown, so costCeiling does not hold for it. Give its backends prices for input and output, or leave such models out by unknownPrice: Exclude.`,
  },
  PriceUnknown: {
    condition: 'Accepted',
    says: (model, more) =>
      `What "${model}"${more === '' ? '' : ` (and ${more} more)`} costs is unknown, so unknownPrice: Exclude leaves it out. Give its backends prices for input and output, "0" if they are free.`,
  },
  NoTarget: {
    condition: 'ResolvedRefs',
    says: (rule) => `No target of rule "${rule}" is usable, so what it matches is refused. Repair one: each has its own message.`,
  },
  NoRule: {
    condition: 'Accepted',
    says: () => 'No rule has a usable target, so this policy serves nothing. Repair one: each has its own message.',
  },

  AutoFull: {
    condition: 'none',
    says: (targets, more) =>
      `"auto" takes ${targets} models: those of the lowest priority, then of the highest weight, then the first by name. This one${more === '' ? '' : ` (and ${more} more)`} can be asked for by name only. Write a RoutingPolicy that names the models it is to choose among.`,
  },

  ClientSecretNameTooLong: {
    condition: 'none',
    says: (name) => `"${name}" is too long to name a client, so its keys are not accepted. Use a Secret name of at most 63 characters.`,
  },
  ClientSecretEmpty: {
    condition: 'none',
    says: () => 'This Secret is labelled as client keys but has no entries. Add one, of at least 24 characters.',
  },
  ClientKeyTooShort: {
    condition: 'none',
    says: (entry, characters) => `The key "${entry}" has ${characters} characters and is not accepted. Use at least 24 random ones.`,
  },
  ClientKeyUnsendable: {
    condition: 'none',
    says: (entry) => `The key "${entry}" has spaces or characters that no header may carry, and is not accepted. Use printable ASCII.`,
  },
  ClientKeyExpiryInvalid: {
    condition: 'none',
    says: (value) => `"${value}" is no RFC 3339 time, so the keys of this Secret are not accepted. Write it as 2027-01-31T00:00:00Z.`,
  },
  ClientKeyDuplicate: {
    condition: 'none',
    says: (entry, owner) => `The key "${entry}" is already the key of ${owner}, which came first and keeps it. Make a new key.`,
  },
} as const satisfies Record<string, ProblemRow>

export type ProblemCode = keyof typeof PROBLEMS

export interface Problem {
  readonly code: ProblemCode
  /** "LlamaModel namespace/name". */
  readonly object: string
  /** The field, such as "spec.backends[0].auth.secretRefs[0]". */
  readonly at: string
  readonly message: string
}

/** `subject` and `other` fill the message's quotes, in the order of the table above. */
export function problem(code: ProblemCode, object: string, at: string, subject = '', other = ''): Problem {
  const row: ProblemRow = PROBLEMS[code]
  return { code, object, at, message: row.says(subject, other) }
}

export function conditionOf(code: ProblemCode): ProblemRow['condition'] {
  return PROBLEMS[code].condition
}
