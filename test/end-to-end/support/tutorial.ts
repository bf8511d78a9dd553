/**
 * Runs a page of docs/tutorials/ as its reader would. In: its name, and the few things that are other here than in a reader's cluster. Out: what
 * its commands write. A page that has changed so that something would not be run, or not be replaced, fails.
 *
 * - ```sh blocks run in bash, strictly, in one folder; variables and functions live on from block to
 *   block, processes in the background do not.
 * - ```yaml and ```js blocks whose first line is a comment with a file's name (`# model.yaml`) are written to that file.
 * - A ```text block behind an sh block is what that one writes: `…` stands for anything in a line, spaces for spaces of any width.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from '../../support/control-plane/cluster.ts'
import { ROOT } from '../../support/program.ts'
import { stateOf } from './cluster.ts'
import { Shell } from './shell.ts'

export interface TutorialOptions {
  /** [what stands there, what stands in its place]. Each must stand in the page's blocks exactly once. */
  readonly substitutions?: readonly (readonly [string, string])[]
  /** Its Pods and Events are shown when a command fails; "llama-swap" if absent. */
  readonly namespace?: string
  /** One that the reader has read before: this one goes on in its terminal and folder. */
  readonly after?: Tutorial
}

export interface Tutorial {
  /** The blocks below that heading, to the next of any level. Resolves with what each sh block wrote. */
  run(heading: string): Promise<readonly string[]>
  /** Text of a file, as it was substituted. */
  file(name: string): string
  readonly shell: Shell
  /** Ends the terminal and removes its folder; fails when a section with commands was not run. Of several in one terminal, the last one's. */
  finish(): Promise<void>
}

interface Block {
  readonly heading: string
  readonly language: string
  readonly text: string
}

/** Of the checkout: what commands may name. */
const LINKED = ['charts', 'crds', 'examples', 'dist']

/** Owner: the caller; `finish()` once. */
export function openTutorial(cluster: Cluster, name: string, options: TutorialOptions = {}): Tutorial {
  const blocks = substituted(blocksOf(readFileSync(join(ROOT, 'docs', 'tutorials', `${name}.md`), 'utf8')), options.substitutions ?? [])
  const shell = options.after?.shell ?? new Shell(cluster, readersFolder(cluster.folder, name))
  const toRun = new Set(blocks.filter(({ language }) => language === 'sh').map(({ heading }) => heading))
  return {
    shell,
    run: async (heading) => {
      const section = blocks.filter((block) => block.heading === heading)
      assert.ok(section.length > 0, `docs/tutorials/${name}.md has no blocks below "${heading}"`)
      toRun.delete(heading)
      for (const block of section) writeNamed(shell.folder, block)
      return runSection(cluster, shell, section, options.namespace ?? 'llama-swap')
    },
    file: (wanted) => {
      const found = blocks.find((block) => nameOf(block) === wanted)
      assert.ok(found !== undefined, `docs/tutorials/${name}.md has no file ${wanted}`)
      return found.text
    },
    finish: async () => {
      await shell.close()
      rmSync(shell.folder, { recursive: true })
      assert.deepEqual([...toRun], [], 'sections that were not run')
    },
  }
}

function readersFolder(parent: string, name: string): string {
  mkdirSync(parent, { recursive: true })
  const folder = mkdtempSync(join(parent, `${name}-`))
  for (const linked of LINKED) symlinkSync(join(ROOT, linked), join(folder, linked))
  return folder
}

function blocksOf(page: string): readonly Block[] {
  const blocks: Block[] = []
  let heading = ''
  let open: { readonly language: string; readonly lines: string[] } | undefined
  for (const line of page.split('\n')) {
    const fence = /^```(\w*)/.exec(line)
    if (open !== undefined && fence !== null) {
      blocks.push({ heading, language: open.language, text: `${open.lines.join('\n')}\n` })
      open = undefined
    } else if (open !== undefined) open.lines.push(line)
    else if (fence !== null) open = { language: fence[1] ?? '', lines: [] }
    else heading = /^#+ (.+)$/.exec(line)?.[1] ?? heading
  }
  assert.equal(open, undefined, 'a block without an end')
  return blocks
}

function substituted(blocks: readonly Block[], substitutions: TutorialOptions['substitutions'] & {}): readonly Block[] {
  return substitutions.reduce((before, [find, put]) => {
    const found = before.reduce((sum, { text }) => sum + text.split(find).length - 1, 0)
    assert.equal(found, 1, `"${find}" stands ${found} times in the blocks`)
    return before.map((block) => ({ ...block, text: block.text.replace(find, () => put) }))
  }, blocks)
}

const nameOf = ({ text }: Block): string | undefined => /^(?:#|\/\/) ([\w.-]+\.\w+)\n/.exec(text)?.[1]

function writeNamed(folder: string, block: Block): void {
  const name = block.language === 'sh' ? undefined : nameOf(block)
  if (name !== undefined) writeFileSync(join(folder, name), block.text)
}

async function runSection(cluster: Cluster, shell: Shell, section: readonly Block[], namespace: string): Promise<readonly string[]> {
  const written: string[] = []
  for (const { language, text } of section) {
    if (language === 'sh') written.push(await runCommands(cluster, shell, text, namespace))
    if (language === 'text') expectLines(written.at(-1) ?? '', text)
  }
  return written
}

async function runCommands(cluster: Cluster, shell: Shell, commands: string, namespace: string): Promise<string> {
  try {
    return await shell.run(commands)
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${await stateOf(cluster, namespace)}`, { cause: error })
  }
}

function expectLines(written: string, shown: string): void {
  const pattern = steady(shown).split('…').map(escaped).join('.*')
  assert.match(steady(written), new RegExp(`(^|\n)${pattern}(\n|$)`))
}

const steady = (text: string): string =>
  text
    .replaceAll(/[ \t\r]+/g, ' ')
    .replaceAll(/ ?\n ?/g, '\n')
    .trim()
const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
