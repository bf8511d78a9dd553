import assert from 'node:assert/strict'
import { test } from 'node:test'
import { debianMirror } from './apt-mirror.ts'

const DEB822 = `Types: deb
# http://old.example/archive/20250520
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
`

const CASES: Record<string, { files: { name: string; text: string }[]; mirror: unknown }> = {
  'reads a deb822 stanza, past addresses in comments': {
    files: [{ name: 'debian.sources', text: DEB822 }],
    mirror: { uri: 'http://mirror.example/debian', signedBy: '/usr/share/keyrings/debian-archive-keyring.gpg' },
  },
  'reads a one-line entry without options': {
    files: [
      {
        name: 'sources.list',
        text: '# comment\ndeb-src http://a.example/debian sid main\ndeb http://b.example/debian/ trixie main contrib # x\n',
      },
    ],
    mirror: { uri: 'http://b.example/debian/' },
  },
  'reads the keyring of a one-line entry': {
    files: [{ name: 'x.list', text: 'deb [arch=amd64 signed-by=/etc/k.gpg] https://b.example/debian sid main' }],
    mirror: { uri: 'https://b.example/debian', signedBy: '/etc/k.gpg' },
  },
  'passes over other vendors, security archives and disabled files': {
    files: [
      { name: 'vendor.list', text: 'deb https://vendor.example/apt stable main' },
      { name: 'old.list.disabled', text: 'deb https://gone.example/debian sid main' },
      { name: 'security.list', text: 'deb http://c.example/debian-security bookworm-security main' },
      { name: 'off.sources', text: 'Enabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: sid\nComponents: main' },
    ],
    mirror: undefined,
  },
  'ignores a key that stands inline': {
    files: [
      {
        name: 'd.sources',
        text: 'Types: deb\nURIs: http://d.example/debian\nSuites: sid\nComponents: main\nSigned-By:\n -----BEGIN\n .\n abc\n',
      },
    ],
    mirror: { uri: 'http://d.example/debian' },
  },
}

for (const [sentence, { files, mirror }] of Object.entries(CASES)) {
  test(`the Debian mirror of this machine: ${sentence}`, () => assert.deepEqual(debianMirror(files), mirror))
}
