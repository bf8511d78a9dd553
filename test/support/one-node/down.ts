/** `node test/support/one-node/down.ts NAME`: ends a node and removes all of it. */
import { removeNode } from './node.ts'

await removeNode(process.argv[2] ?? '')
