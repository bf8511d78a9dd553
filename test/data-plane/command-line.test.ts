/** Wrong use of the command line: one line that says what to do, exit code 2; and help for every command. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { listenOn } from '../support/ports.ts'
import { startProgram } from '../support/program.ts'
import { makeTable } from '../support/table.ts'

let folder: string
let table: string
let taken: Server
let takenPort: number

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'llama-swap-test-'))
  table = join(folder, 'table.json')
  await writeFile(table, JSON.stringify(makeTable({})))
  await writeFile(join(folder, 'config.yaml'), 'models: []\n')
  taken = createServer()
  takenPort = await listenOn(taken)
})
after(async () => {
  taken.close()
  await rm(folder, { recursive: true })
})

async function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<{ code: number; output: string }> {
  const program = startProgram({ file: 'cli/main.ts', args, env })
  const code = await program.ended
  return { code, output: program.output() }
}

interface WrongUse {
  readonly args: () => readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly says: RegExp
}

const FREE = ['--port', '0', '--admin-port', '0', '--host', '127.0.0.1']
const config = (): string => join(folder, 'config.yaml')

const WRONG: Readonly<Record<string, WrongUse>> = {
  'an unknown command': { args: () => ['standalon'], says: /"standalon" is no command\. Commands: standalone, proxy/ },
  'an unknown flag': { args: () => ['proxy', '--tabel', table], says: /--tabel/ },
  'a word too many': { args: () => ['standalone', 'here'], says: /"here" is no flag/ },
  'no table': { args: () => ['proxy'], says: /--table FILE/ },
  'a table that is not there': { args: () => ['proxy', '--table', join(folder, 'none.json'), ...FREE], says: /none\.json does not exist/ },
  'a table that is a folder': { args: () => ['proxy', '--table', folder, ...FREE], says: /cannot be read/ },
  'a configuration that is not there': {
    args: () => ['standalone', '--config', join(folder, 'none.yaml'), ...FREE],
    says: /none\.yaml does not exist/,
  },
  'a port that is no number': { args: () => ['proxy', '--table', table, '--port', 'http'], says: /--port must be a whole number/ },
  'a port that is no number, from the environment': {
    args: () => ['standalone', '--config', config()],
    env: { LLAMA_SWAP_PORT: '80800' },
    says: /--port must be a whole number/,
  },
  'a mode that does not exist': {
    args: () => ['proxy', '--table', table, '--auth', 'Perhaps'],
    says: /--auth must be one of Required, Optional, Off/,
  },
  'a duration without a unit': {
    args: () => ['proxy', '--table', table, '--shutdown-grace', '30'],
    says: /--shutdown-grace must be a duration/,
  },
  'a range that is no CIDR': { args: () => ['proxy', '--table', table, '--deny-addresses', '10.0.0.0', ...FREE], says: /is no CIDR/ },
  'a port in use': { args: () => ['proxy', '--table', table, ...FREE, '--port', String(takenPort)], says: /port \d+ is in use/ },
  'an admin port in use': {
    args: () => ['standalone', '--config', config(), ...FREE, '--admin-port', String(takenPort)],
    says: /port \d+ is in use/,
  },
  'a metrics port in use': {
    args: () => ['proxy', '--table', table, ...FREE, '--metrics-port', String(takenPort)],
    says: /port \d+ is in use/,
  },
  'an address that is not ours': { args: () => ['proxy', '--table', table, ...FREE, '--host', '192.0.2.1'], says: /--host/ },
  'check without a file': { args: () => ['check'], says: /at least one file/ },
  'explain without a request': { args: () => ['explain'], says: /needs a request/ },
}

describe('wrong use: one line, exit code 2', { concurrency: 2 }, () => {
  for (const [name, { args, env, says }] of Object.entries(WRONG)) {
    test(name, async () => {
      const { code, output } = await run(args(), env)
      assert.equal(code, 2, output)
      const lines = output.split('\n').filter((line) => line !== '' && !line.startsWith('{'))
      assert.equal(lines.length, 1, output)
      assert.match(lines[0] ?? '', /^llama-swap: /)
      assert.match(lines[0] ?? '', says)
    })
  }
})

describe('help: exit code 0, every flag with its meaning', { concurrency: 2 }, () => {
  for (const command of ['standalone', 'proxy', 'check', 'explain']) {
    test(command, async () => {
      const { code, output } = await run([command, '--help'])
      assert.equal(code, 0)
      assert.match(output, new RegExp(`^llama-swap ${command} `))
      for (const flag of command === 'standalone' || command === 'proxy'
        ? ['--host', '--port', '--admin-port', '--log-level', '--auth']
        : [])
        assert.ok(output.includes(flag), flag)
    })
  }
  for (const args of [[], ['--help'], ['help']]) {
    test(`llama-swap ${args.join(' ')}`, async () => {
      const { code, output } = await run(args)
      assert.equal(code, 0)
      for (const command of ['standalone', 'proxy', 'check', 'explain', 'version']) assert.match(output, new RegExp(`^  ${command} `, 'm'))
    })
  }
  test('version', async () => {
    assert.match((await run(['version'])).output, /^llama-swap \d+\.\d+\.\d+ \(reads routing table 1; Node /)
  })
})
