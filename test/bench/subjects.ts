/** What is measured: a direct connection, nginx, and our proxy. Each is started alone, on the measured core, and stopped after its turn. */
import { writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { NGINX } from '../../scripts/fetch-tools.ts'
import { NODE_FLAGS } from '../../scripts/node-flags.ts'
import { freePort, type Ground, MEASURED_CORE } from './ground.ts'
import { LOAD_NAMES, LOADS, type LoadName } from './loads.ts'
import { type Program, startOn } from './processes.ts'

export interface Subject {
  /** Absent for a direct connection: there is no program between. */
  readonly pid?: number
  port(load: LoadName): number
  stop(): Promise<void>
}

export interface Started extends Subject {
  /** Milliseconds from the start of the process to the line that says it listens, and to the first 200 on /readyz. */
  readonly listeningMs: number
  readonly readyMs: number
}

export function direct(ground: Ground): Subject {
  return { port: (load) => ground.mockPort(load), stop: async () => {} }
}

/** One process, as a worker would be, with all that makes it fast: kept connections on both sides, no log, streams unbuffered. */
export async function startNginx(ground: Ground): Promise<Subject> {
  const ports = new Map<LoadName, number>()
  for (const load of LOAD_NAMES) ports.set(load, await freePort())
  const port = (load: LoadName): number => ports.get(load) ?? 0
  writeFileSync(join(ground.folder, 'nginx.conf'), nginxConfiguration(ground, port))
  const program = startOn(MEASURED_CORE, NGINX, ['-p', ground.folder, '-c', 'nginx.conf', '-e', 'stderr'])
  await answers(port('unary1k'), '/health', program)
  return { pid: program.pid, port, stop: () => program.stop() }
}

function nginxConfiguration(ground: Ground, port: (load: LoadName) => number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${ground.folder}/nginx-temp;`)
  const sites = LOAD_NAMES.map(
    (load) => `
  upstream ${load} { server 127.0.0.1:${ground.mockPort(load)}; keepalive 1024; keepalive_requests 10000000; }
  server {
    listen 127.0.0.1:${port(load)} backlog=4096;
    location / {
      proxy_pass http://${load};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering ${LOADS[load].stream ? 'off' : 'on'};
    }
  }`,
  )
  return `daemon off;
master_process off;
pid nginx.pid;
error_log stderr error;
events { worker_connections 8192; }
http {
  access_log off;
  ${temporary.join(' ')}
  keepalive_timeout 75s;
  keepalive_requests 10000000;
  client_body_buffer_size 128k;
  proxy_buffers 8 32k;
  proxy_read_timeout 600s;${sites.join('')}
}
`
}

/** Our proxy as it is shipped, with authentication, metrics, health probes and 50 models; nothing is turned off for the benchmark. */
export async function startProxy(ground: Ground, bundle: string): Promise<Started> {
  const [port, metricsPort, adminPort] = [await freePort(), await freePort(), await freePort()]
  const flags = { table: ground.tableFile, host: '127.0.0.1', port, 'metrics-port': metricsPort, 'admin-port': adminPort, auth: 'Required' }
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)])
  const program = startOn(MEASURED_CORE, process.execPath, [...NODE_FLAGS, bundle, ...args])
  const [listeningMs] = await Promise.all([program.lineAfterMs(/listening/i), answers(metricsPort, '/readyz', program)])
  const readyMs = performance.now() - program.startedMs
  return { pid: program.pid, port: () => port, stop: () => program.stop(), listeningMs, readyMs }
}

const ASK_EVERY_MS = 2
const ASK_FOR_MS = 10_000

/** Resolves when the path answers 200. */
async function answers(port: number, path: string, program: Program): Promise<void> {
  const end = performance.now() + ASK_FOR_MS
  let failed: unknown
  program.ended().catch((error: unknown) => {
    failed = error
  })
  while ((await statusOf(port, path)) !== 200) {
    if (failed !== undefined) throw failed
    if (performance.now() > end) throw new Error(`127.0.0.1:${port}${path} does not answer 200`)
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS))
  }
}

function statusOf(port: number, path: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    request.on('error', () => resolve(undefined))
  })
}
