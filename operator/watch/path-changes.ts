import { type FSWatcher, watch } from 'node:fs'
import { type Listing, listYamlFiles } from './yaml-files.ts'

export interface PathChangesOptions {
  readonly path: string
  /** Called for anything that may be a change, also when it is none; never after `close()`. */
  readonly onChange: () => void
}

const POLL_MS = 500

/**
 * Notices changes below a path. The kernel's notices come at once but are not to be relied on (they are lost on network disks, on a replaced
 * folder, when watches run out), so the files' stamps are compared every 500 ms as well. Owner: who creates it; call `close()` once.
 */
export class PathChanges {
  readonly #options: PathChangesOptions
  readonly #watchers = new Map<string, FSWatcher>()
  #stamps = ''
  #poll: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: PathChangesOptions) {
    this.#options = options
  }

  /** Call it before reading the files, so that an edit in between is noticed. */
  start(listing: Listing): void {
    this.#stamps = stampsOf(listing)
    this.#watchFolders(listing.folders)
    this.#schedule()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#poll)
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  #schedule(): void {
    this.#poll = setTimeout(() => void this.#compare(), POLL_MS)
  }

  async #compare(): Promise<void> {
    // A path that cannot be listed is a state like any other: the reader of the files tells why.
    const listing = await listYamlFiles(this.#options.path).catch(() => undefined)
    if (this.#closed) return
    this.#schedule()
    if (listing !== undefined) this.#watchFolders(listing.folders)
    const stamps = listing === undefined ? 'none' : stampsOf(listing)
    if (stamps === this.#stamps) return
    this.#stamps = stamps
    this.#options.onChange()
  }

  #watchFolders(folders: readonly string[]): void {
    for (const [folder, watcher] of this.#watchers) if (!folders.includes(folder)) this.#forget(folder, watcher)
    for (const folder of folders) if (!this.#watchers.has(folder)) this.#watchFolder(folder)
  }

  #watchFolder(folder: string): void {
    try {
      const watcher = watch(folder, () => this.#options.onChange())
      watcher.on('error', () => this.#forget(folder, watcher))
      this.#watchers.set(folder, watcher)
    } catch {
      // No watch to be had (limits, a folder just gone): the comparison of stamps stands in.
    }
  }

  #forget(folder: string, watcher: FSWatcher): void {
    watcher.close()
    if (this.#watchers.get(folder) === watcher) this.#watchers.delete(folder)
  }
}

const stampsOf = ({ files }: Listing): string => files.map(({ path, stamp }) => `${path} ${stamp}`).join('\n')
