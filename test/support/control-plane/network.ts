/**
 * The private network of a run (`run-suite.ts` makes it): nothing but loopback, on which every address of 10.0.0.0/8 can be listened on.
 * So a test is the engine behind a Pod's address, and clients reach Services at their ClusterIP. Addresses are given out here, each
 * process having its own: files that run at the same time do not meet.
 */

/** Set by `run-suite.ts` for what runs inside. */
export const NETWORK_VARIABLE = 'LLAMA_SWAP_TEST_PRIVATE_NETWORK'

/** Throws, and says what to do, where Pods' addresses cannot be listened on. */
export function requirePrivateNetwork(): void {
  if (process.env[NETWORK_VARIABLE] === '1') return
  throw new Error('This test listens on addresses of Pods. Run it as: make test-control-plane FILES=test/control-plane/NAME.test.ts')
}

const POD_BLOCKS = 12_800
const SERVICE_BLOCKS = 4096
let pods = 0
let planes = 0

/** 10.200.0.1 … 10.249.255.254: one of this process, not given before. */
export function podAddress(): string {
  const block = (process.pid + Math.floor(pods / 254) * 101) % POD_BLOCKS
  pods += 1
  return `10.${200 + (block >> 8)}.${block & 255}.${((pods - 1) % 254) + 1}`
}

/** Addresses for the Services of one more control plane of this process: 1022 of them, 10.96.0.0/22 … 10.159.252.0/22. */
export function serviceCidr(): string {
  const block = (process.pid + planes * 101) % SERVICE_BLOCKS
  planes += 1
  return `10.${96 + (block >> 6)}.${(block & 63) * 4}.0/22`
}
