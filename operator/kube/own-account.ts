import { isFields } from '../validate/problem.ts'

/** The ServiceAccount that an operator runs as. */
export interface OwnAccount {
  readonly namespace: string
  readonly name: string
  readonly uid: string
}

/** What its own token says of it; undefined = it is no token of a ServiceAccount. */
export function readOwnAccount(token: string): OwnAccount | undefined {
  const claims = jsonOf(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
  const about = isFields(claims) ? claims['kubernetes.io'] : undefined
  const account = isFields(about) ? about['serviceaccount'] : undefined
  if (!isFields(about) || !isFields(account)) return undefined
  const [namespace, name, uid] = [about['namespace'], account['name'], account['uid']]
  return typeof namespace === 'string' && typeof name === 'string' && typeof uid === 'string' ? { namespace, name, uid } : undefined
}

/**
 * For the metadata of what an operator makes for itself alone: the cluster deletes it after the account is gone, so nothing of it outlives an
 * installation. Empty in other namespaces, where no account can own anything.
 */
export function ownedBy(account: OwnAccount | undefined, namespace: string): { readonly ownerReferences?: readonly object[] } {
  if (account === undefined || account.namespace !== namespace) return {}
  return { ownerReferences: [{ apiVersion: 'v1', kind: 'ServiceAccount', name: account.name, uid: account.uid }] }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
