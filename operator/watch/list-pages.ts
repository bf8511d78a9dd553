import { ApiError } from '../kube/api-error.ts'
import type { KubeClient } from '../kube/client.ts'
import { type Fields, isFields } from '../validate/problem.ts'
import { type Collection, pathOf, selectorsOf } from './collection.ts'

export interface Page {
  readonly items: readonly Fields[]
  /** That of the list as a whole, the same on every page. */
  readonly resourceVersion: string
}

const PAGE_ITEMS = 500
const PAGE_TIMEOUT_MS = 60_000
/** 5 million objects: a server that never ends its list is not followed for ever. */
const MAX_PAGES = 10_000

/** A consistent list in pages of 500, so that no answer is large. Rejects with an ApiError; 410 = the list took too long and begins anew. */
export async function* listPages(client: KubeClient, collection: Collection, signal: AbortSignal, accept?: string): AsyncGenerator<Page> {
  const path = pathOf(collection)
  let next: string | undefined
  for (let pages = 0; pages < MAX_PAGES; pages += 1) {
    const query = { ...selectorsOf(collection), limit: PAGE_ITEMS, continue: next }
    const list = await client.get(path, { query, signal, timeoutMs: PAGE_TIMEOUT_MS, ...(accept === undefined ? {} : { accept }) })
    const { page, continues } = readPage(path, list)
    yield page
    if (continues === '') return
    next = continues
  }
  throw new ApiError({ status: 0, reason: 'BadAnswer', message: `GET ${path}: the list does not end` })
}

function readPage(path: string, list: Fields): { readonly page: Page; readonly continues: string } {
  const { metadata, items = [] } = list
  if (!isFields(metadata) || typeof metadata['resourceVersion'] !== 'string' || !(Array.isArray(items) || items === null)) {
    throw new ApiError({ status: 0, reason: 'BadAnswer', message: `GET ${path}: the answer is no list` })
  }
  const continues = metadata['continue']
  return {
    page: { items: (items ?? []).filter(isFields), resourceVersion: metadata['resourceVersion'] },
    continues: typeof continues === 'string' ? continues : '',
  }
}
