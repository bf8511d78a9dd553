// Run by the project's own postinstall, on whatever Node npm itself uses. Plain JavaScript, so that an old Node can read it.
// `npm run` puts node_modules/.bin first in PATH, so the pinned Node answers here when its download succeeded.
const major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  console.error(
    `llama-swap needs Node 24 or newer and found ${process.versions.node}: the pinned Node (an optional dependency) was not installed. ` +
      'Run "npm ci" again without --omit=optional, or install Node 24.',
  )
  process.exit(1)
}
