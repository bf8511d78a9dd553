/**
 * `node scripts/bundle.ts`: makes of each program one file that needs nothing but Node: `dist/proxy.mjs`, `dist/cli.mjs`, with source maps
 * and the licences of what is inside. Not minified: it starts no faster, and a crash would print a line of 5 KB.
 * No `keepNames`: it calls `Object.defineProperty` for every closure that a request makes, a quarter of a small request's CPU time.
 */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { build } from 'esbuild'

const ROOT = join(import.meta.dirname, '..')
const PROGRAMS = { proxy: 'proxy/main.ts', cli: 'cli/main.ts' }

/**
 * Whether `proxy/main.ts` is what was started is known here. In the command line's file it would take itself for that, and run a second
 * time; and the image's own start imports `proxy.mjs`.
 */
const DEFINED: Readonly<Record<keyof typeof PROGRAMS, Record<string, string>>> = {
  proxy: { 'import.meta.main': 'true' },
  cli: { 'import.meta.main': 'false' },
}

/** Dependencies in CommonJS, and ajv's generated code, call `require`. */
const BANNER = "import { createRequire as __cr } from 'node:module'; const require = __cr(import.meta.url);"

for (const name of ['proxy', 'cli'] as const) {
  const entry = PROGRAMS[name]
  const outfile = join(ROOT, 'dist', `${name}.mjs`)
  if (!existsSync(join(ROOT, entry))) throw new Error(`${entry} is not there`)
  await build({
    entryPoints: [join(ROOT, entry)],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node26',
    format: 'esm',
    banner: { js: BANNER },
    define: DEFINED[name],
    legalComments: 'linked',
    sourcemap: 'linked',
    logLevel: 'warning',
  })
  writeFileSync(outfile, inAscii(readFileSync(outfile, 'utf8')))
  console.log(`${relative(ROOT, outfile)} ${(statSync(outfile).size / 1e6).toFixed(1)} MB`)
}

/** V8 keeps a source with any other letter at two bytes a letter: 3.5 MB more for a proxy. Such letters are in comments and patterns only. */
function inAscii(text: string): string {
  return text.replace(/[^\0-\x7f]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
