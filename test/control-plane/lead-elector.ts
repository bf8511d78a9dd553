/**
 * A process that stands for election. In: environment SERVER (url, ca, token as JSON), NAMESPACE, IDENTITY. Out: a JSON line whenever it begins or
 * ceases to lead, and one whenever it has stood still for longer than a second: whether it took itself for the leader in the first instant after.
 */
import { Election } from '../../operator/lead/election.ts'
import { Counted } from './lead-ground.ts'

const { SERVER = '', NAMESPACE = '', IDENTITY = '' } = process.env
const counted = new Counted(JSON.parse(SERVER))
const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`)

const election = new Election({
  client: counted.client,
  lease: { namespace: NAMESPACE, name: 'llama-swap' },
  identity: IDENTITY,
  onChange: (isLeader) => {
    say({ isLeader })
    if (isLeader) void election.claimEpoch(0).then((epoch) => say({ epoch }))
  },
})

let lastMs = performance.now()
const watching = setInterval(() => {
  const stoodMs = performance.now() - lastMs
  if (stoodMs > 1000) say({ stoodMs, tookItselfForLeader: election.isLeader })
  lastMs = performance.now()
}, 5)

process.once('SIGTERM', () => {
  clearInterval(watching)
  void election.close().then(() => counted.client.close())
})
election.start()
