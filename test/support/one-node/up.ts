/** `node test/support/one-node/up.ts NAME`: brings a node up, leaves it running and says how it is reached and removed. */
import { startNode } from './node.ts'
import { prepared } from './prepare.ts'

const [name = ''] = process.argv.slice(2)
const start = performance.now()
const { access } = await startNode(name, prepared(), 'free')
console.log(`The node "${name}" is up after ${((performance.now() - start) / 1000).toFixed(1)} s, with DNS and all images.

  sh test/support/one-node/in.sh ${name} kubectl get pods -A     a command in its network; KUBECONFIG=${access.kubeconfig}
  node test/support/one-node/down.ts ${name}                     removes it`)
