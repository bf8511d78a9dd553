/**
 * Where the texts of the measurement come from: documentation and sources of Debian's stable packages (fetched into `.tools`, nothing is
 * installed) and of `node_modules`. A source is a rule: any machine with the same packages gets the same texts.
 */
import { join } from 'node:path'
import { TOOLS_DIR } from '../../../scripts/engine/files.ts'

export const KINDS = ['English', 'German', 'Chinese', 'code', 'JSON'] as const
export type Kind = (typeof KINDS)[number]

export const SUITE = 'bookworm'
export const TEXTS_DIR = join(TOOLS_DIR, 'estimate-texts')
export const PACKAGES: readonly string[] = [
  'debian-handbook',
  'debian-reference-de',
  'debian-reference-zh-cn',
  'debian-faq-de',
  'debian-faq-zh-cn',
  'manpages',
  'manpages-de',
  'manpages-zh',
  'golang-golang-x-net-dev',
  'librust-tokio-dev',
  'libgit2-dev',
  'python3-botocore',
  'python3-django',
]

export type Form = 'plain' | 'html' | 'man' | 'json'

export interface Source {
  readonly kind: Kind
  readonly form: Form
  /** Of the glob; absent = the unpacked packages. */
  readonly below?: 'node_modules'
  readonly glob: string
  /** Paths that are no text of a person: minified, generated, lists of licences. */
  readonly not?: RegExp
}

const MODULES = { below: 'node_modules' } as const
const GENERATED = /\.min\.|[-.]generated|\/dist\/bundle|CHANGELOG|LICEN[CS]E/i

/** Each source of a kind gives as many files as the others, as far as it has them. */
export const SOURCES: readonly Source[] = [
  { kind: 'English', form: 'html', glob: 'usr/share/doc/debian-handbook/html/en-US/*.html' },
  { kind: 'English', form: 'man', glob: 'usr/share/man/man[1-8]/*.gz' },
  { kind: 'English', form: 'plain', ...MODULES, glob: '**/{README,readme,Readme}.md' },
  { kind: 'German', form: 'html', glob: 'usr/share/doc/debian-handbook/html/de-DE/*.html' },
  { kind: 'German', form: 'html', glob: 'usr/share/{debian-reference,doc/debian/FAQ/de}/*.de.html' },
  { kind: 'German', form: 'man', glob: 'usr/share/man/de/man*/*.gz' },
  { kind: 'Chinese', form: 'html', glob: 'usr/share/doc/debian-handbook/html/zh-CN/*.html' },
  { kind: 'Chinese', form: 'html', glob: 'usr/share/{debian-reference,doc/debian/FAQ/zh-cn}/*.zh-cn.html' },
  { kind: 'Chinese', form: 'man', glob: 'usr/share/man/zh_CN/man*/*.gz' },
  { kind: 'code', form: 'plain', glob: 'usr/share/gocode/src/**/*.go' },
  { kind: 'code', form: 'plain', glob: 'usr/share/cargo/registry/**/*.rs' },
  { kind: 'code', form: 'plain', glob: 'usr/include/**/*.h' },
  { kind: 'code', form: 'plain', glob: 'usr/lib/python3/dist-packages/{django,botocore}/**/*.py' },
  { kind: 'code', form: 'plain', ...MODULES, glob: '**/*.{js,mjs,cjs}', not: GENERATED },
  { kind: 'code', form: 'plain', ...MODULES, glob: '**/*.ts', not: GENERATED },
  { kind: 'JSON', form: 'json', glob: 'usr/lib/python3/dist-packages/botocore/data/**/{service-2,examples-1,waiters-2}.json' },
  { kind: 'JSON', form: 'json', ...MODULES, glob: '**/package.json' },
  { kind: 'JSON', form: 'json', ...MODULES, glob: '**/*.json', not: /package(-lock)?\.json$|encodings\/tables/ },
]
