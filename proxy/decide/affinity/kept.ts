/** What became of a request that has a place where it belongs: it went there, or that had too much to do. `none`: it has no key. */
export type Kept = 'kept' | 'shed' | 'none'
