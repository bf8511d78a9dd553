import { READS_VERSIONS } from '../proxy/routing-table/index.ts'
import { VERSION } from '../proxy/version.ts'

/** `llama-swap version`: the program's version, the routing tables it reads, and the Node it runs on. */
export function runVersion(): number {
  process.stdout.write(`llama-swap ${VERSION} (reads routing table ${READS_VERSIONS.join(', ')}; Node ${process.versions.node})\n`)
  return 0
}
