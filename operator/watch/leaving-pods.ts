import type { ObjectKey, PodResource } from '../resources/snapshot.ts'

/** A slice names a pod that is gone for about so long: whoever writes slices learns of it when the operator does. */
const LEAVES_WITHIN_MS = 2000

interface Leaving {
  readonly pod: PodResource
  readonly timer: NodeJS.Timeout
}

/**
 * Pods that are gone, for as long as their Services' slices may name them: they take no requests, and have their addresses. Owner: who creates
 * it; `close()` forgets them.
 */
export class LeavingPods {
  readonly #onLeft: (key: ObjectKey) => void
  readonly #leaving = new Map<ObjectKey, Leaving>()

  constructor(onLeft: (key: ObjectKey) => void) {
    this.#onLeft = onLeft
  }

  get(key: ObjectKey): PodResource | undefined {
    return this.#leaving.get(key)?.pod
  }

  /** `pod`: as it was last handed on. */
  leaves(key: ObjectKey, pod: PodResource): void {
    this.#forget(key)
    const left = (): void => {
      this.#forget(key)
      this.#onLeft(key)
    }
    this.#leaving.set(key, { pod: { ...pod, ready: false, terminating: true }, timer: setTimeout(left, LEAVES_WITHIN_MS) })
  }

  /** It is there again, or another one of its name. */
  isBack(key: ObjectKey): void {
    this.#forget(key)
  }

  close(): void {
    for (const key of this.#leaving.keys()) this.#forget(key)
  }

  #forget(key: ObjectKey): void {
    clearTimeout(this.#leaving.get(key)?.timer)
    this.#leaving.delete(key)
  }
}
