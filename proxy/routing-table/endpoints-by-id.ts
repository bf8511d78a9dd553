const SHARDS = 256

interface Identified {
  readonly id: string
}
type Shard<E> = ReadonlyMap<string, E>
type Models<E> = ReadonlyMap<string, { readonly withLastResorts: readonly E[] }>

const NO_SHARDS: readonly Shard<never>[] = Array.from({ length: SHARDS }, () => new Map<string, never>())

/**
 * The endpoints of all models by id, last resorts included. Never changed: the next table's is made of this one and shares with it all
 * that a change does not touch, as a table may have ten thousand and a change is mostly about a few.
 */
export class EndpointsById<E extends Identified> {
  readonly size: number
  readonly #models: Models<E>
  readonly #shards: readonly Shard<E>[]

  constructor(models: Models<E> = new Map(), shards: readonly Shard<E>[] = NO_SHARDS, size = 0) {
    this.#models = models
    this.#shards = shards
    this.size = size
  }

  get(id: string): E | undefined {
    return this.#shards[shardOf(id)]?.get(id)
  }

  has(id: string): boolean {
    return this.get(id) !== undefined
  }

  /** In the order of the table. */
  *values(): Generator<E, void, undefined> {
    for (const { withLastResorts } of this.#models.values()) yield* withLastResorts
  }

  *keys(): Generator<string, void, undefined> {
    for (const { id } of this.values()) yield id
  }

  /** What is here and was not the same object in `before`, at the cost of what differs. */
  *differingFrom(before: EndpointsById<E>): Generator<E, void, undefined> {
    if (before.size === 0) return yield* this.values()
    for (const [at, shard] of this.#shards.entries()) {
      const was = before.#shards[at]
      if (shard === was) continue
      for (const [id, endpoint] of shard) if (was?.get(id) !== endpoint) yield endpoint
    }
  }

  /** Of `models`, which are those before but for `changed`. */
  following(models: Models<E>, changed: Iterable<string>): EndpointsById<E> {
    const refs = [...changed]
    const of = (all: Models<E>): E[] => refs.flatMap((ref) => all.get(ref)?.withLastResorts ?? [])
    const shards = [...this.#shards]
    const own = new Map<number, Map<string, E>>()
    const shardFor = (id: string): Map<string, E> => {
      const at = shardOf(id)
      const shard = own.get(at) ?? new Map(shards[at])
      own.set(at, shard)
      shards[at] = shard
      return shard
    }
    let { size } = this
    for (const { id } of of(this.#models)) if (shardFor(id).delete(id)) size--
    for (const endpoint of of(models)) {
      const shard = shardFor(endpoint.id)
      if (!shard.has(endpoint.id)) size++
      shard.set(endpoint.id, endpoint)
    }
    return new EndpointsById(models, shards, size)
  }
}

/** Ids are digests: any few of their characters spread them. */
function shardOf(id: string): number {
  let sum = 0
  for (let at = Math.max(0, id.length - 4); at < id.length; at++) sum = (sum * 31 + id.charCodeAt(at)) % SHARDS
  return sum
}
