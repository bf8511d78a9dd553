/**
 * The image's entrypoint is `node FLAGS start.mjs`: it starts the role that its first argument names with the flags of that role
 * (`scripts/node-flags.ts`). A proxy needs only its own bundle, and the flags of the entrypoint are its own: it starts in this process. The
 * first process of a container is not ended by a signal that it does not handle, so one that comes while the bundle is loaded would be lost,
 * and a Pod that is deleted as it starts would take its whole grace to end. PURE.
 */
import { NODE_FLAGS, OPERATOR_NODE_FLAGS } from '../node-flags.ts'

/** `process.execve` is new, and says so on standard error. */
const QUIET = '--disable-warning=ExperimentalWarning'

export const ENTRYPOINT: readonly string[] = ['/usr/bin/node', QUIET, ...NODE_FLAGS, '/app/start.mjs']

/** The text of `/app/start.mjs`. */
export const START = `const [node, , command, ...rest] = process.argv
if (command === 'operator') process.execve(node, [node, ${OPERATOR_NODE_FLAGS.map((flag) => `'${flag}'`).join(', ')}, '/app/cli.mjs', command, ...rest])
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => process.exit(0))
if (command === 'proxy') {
  process.argv = [node, '/app/proxy.mjs', ...rest]
  await import('/app/proxy.mjs')
} else {
  process.argv[1] = '/app/cli.mjs'
  await import('/app/cli.mjs')
}
`
