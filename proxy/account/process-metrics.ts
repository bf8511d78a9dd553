import { readdir, readFile } from 'node:fs/promises'
import type { Registry } from 'prom-client'
import { ReadCounter, ReadGauge, type Reading, type ReadOptions } from './readings.ts'

const one = (value: number): readonly Reading[] => [{ labels: {}, value }]

/**
 * The `process_*` and `nodejs_*` metrics that every dashboard knows, by the names of prom-client's default collection, read only when
 * scraped: that collection also observes every garbage collection and runs a timer of its own. Descriptors are known on Linux only.
 */
export function registerProcessMetrics(registry: Registry): void {
  const gauge = (name: string, help: string, read: ReadOptions['read']) => new ReadGauge({ name, help, registry, read })
  const cpu = (name: string, help: string, seconds: (usage: NodeJS.CpuUsage) => number) =>
    new ReadCounter({ name, help, registry, read: () => one(seconds(process.cpuUsage())) })
  const startedSeconds = Math.round(Date.now() / 1000 - process.uptime())

  cpu('process_cpu_user_seconds_total', 'User CPU time of the process.', ({ user }) => user / 1e6)
  cpu('process_cpu_system_seconds_total', 'System CPU time of the process.', ({ system }) => system / 1e6)
  cpu('process_cpu_seconds_total', 'User and system CPU time of the process.', ({ user, system }) => (user + system) / 1e6)
  gauge('process_start_time_seconds', 'Start of the process, in seconds since the epoch.', () => one(startedSeconds))
  gauge('process_resident_memory_bytes', 'Resident memory of the process.', () => one(process.memoryUsage.rss()))
  gauge('process_open_fds', 'Open file descriptors.', openDescriptors)
  gauge('process_max_fds', 'Limit of open file descriptors.', maxDescriptors)
  gauge('nodejs_heap_size_total_bytes', 'Size of the JavaScript heap.', () => one(process.memoryUsage().heapTotal))
  gauge('nodejs_heap_size_used_bytes', 'Used part of the JavaScript heap.', () => one(process.memoryUsage().heapUsed))
  gauge('nodejs_external_memory_bytes', 'Memory outside the JavaScript heap: buffers.', () => one(process.memoryUsage().external))
}

async function openDescriptors(): Promise<readonly Reading[]> {
  try {
    return one((await readdir('/proc/self/fd')).length - 1) // without the one that reads
  } catch {
    return [] // no /proc here
  }
}

async function maxDescriptors(): Promise<readonly Reading[]> {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(await readFile('/proc/self/limits', 'utf8'))?.[1]
    return limit === undefined ? [] : one(Number(limit))
  } catch {
    return [] // no /proc here
  }
}
