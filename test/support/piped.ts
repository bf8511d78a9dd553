import type { Socket } from 'node:net'

/** Two connections as one, until either ends. `open` has both meanwhile; `onError` is told of each that breaks, with the other one. */
export function pipeBoth(near: Socket, far: Socket, open: Set<Socket>, onError: (other: Socket) => void): void {
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const) {
    open.add(one)
    one.pipe(other)
    one.on('error', () => onError(other))
    one.on('close', () => {
      open.delete(one)
      other.destroySoon()
    })
  }
}
