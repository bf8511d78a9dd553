import type { Socket } from 'node:net'

/**
 * Which connection an error has ended: one made for the request that it failed, or one kept from before. An upstream that closes a kept
 * connection as a request arrives on it has not failed.
 */
let made = 0
const NUMBERS = new WeakMap<Error, number>()

/** So many connections have been made up to now. */
export const connectionsMade = (): number => made

/** To be told of each new connection, before anybody listens to its errors. */
export function noteConnection(socket: Socket): void {
  const number = ++made
  socket.on('error', (error) => NUMBERS.set(error, number))
}

/** The connection that ended with this error was among the first `count`. */
export const brokeAmong = (error: Error, count: number): boolean => (NUMBERS.get(error) ?? Number.POSITIVE_INFINITY) <= count
