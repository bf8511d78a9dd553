/** `node scripts/image/pin.ts`: prints which versions of the image's Debian packages there are now, with hashes, to be put into `parts.ts`. */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { TOOLS_DIR } from '../engine/files.ts'
import { privateApt } from '../engine/packages.ts'
import { run } from '../engine/run.ts'
import { DEBIAN, DEBIAN_PARTS, NAMES } from './parts.ts'

const architectures = Object.values(NAMES).map(({ architecture }) => architecture)
const scratch = join(TOOLS_DIR, `pin-image-${process.pid}`)
await mkdir(scratch, { recursive: true })
try {
  const apt = await privateApt(scratch, [DEBIAN.suite, `${DEBIAN.suite}-security`], architectures)
  await run('apt-get', [...apt, '-qq', 'update'])
  for (const { name, version } of DEBIAN_PARTS) {
    console.log(`${name}, pinned ${version}`)
    for (const architecture of architectures) {
      const shown = await run('apt-cache', [...apt, 'show', '--no-all-versions', `${name}:${architecture}`])
      const [newest, sha256] = ['Version', 'SHA256'].map((field) => new RegExp(`^${field}: (.*)$`, 'm').exec(shown)?.[1])
      console.log(`  ${architecture} ${newest} ${sha256}`)
    }
  }
} finally {
  await rm(scratch, { recursive: true, force: true })
}
