/** How the image is run, for its configuration and for the Containerfile, which a test compares. PURE. */
import { ENTRYPOINT } from './start.ts'

/** "nonroot", as other images without a shell call it. */
export const USER = '65532:65532'
export const WORKING_DIR = '/app'
export const COMMAND: readonly string[] = ['--help']
export const ENVIRONMENT: Readonly<Record<string, string>> = { PATH: '/usr/bin', NODE_ENV: 'production' }

/** OCI image configuration: the part that says how it is run. */
export function runSettings(labels: Readonly<Record<string, string>>) {
  return {
    User: USER,
    Env: Object.entries(ENVIRONMENT).map(([name, value]) => `${name}=${value}`),
    Entrypoint: ENTRYPOINT,
    Cmd: COMMAND,
    WorkingDir: WORKING_DIR,
    Labels: labels,
  }
}
