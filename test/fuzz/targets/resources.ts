/** What users write: YAML files, and the objects in them with the rules of crds/. */
import assert from 'node:assert/strict'
import { validateResource } from '../../../operator/validate/validate.ts'
import { loadDocuments } from '../../../operator/watch/yaml.ts'
import type { Target } from '../target.ts'
import { JSON_TOKENS, parsed } from './json.ts'

/** Every problem names a line of the file, and says something. */
function filesAreRead(input: Buffer): void {
  const text = input.toString()
  const lines = text.split(/\r\n|\n|\r/).length
  const { documents, problems } = loadDocuments('x.yaml', text)
  for (const { file, line, message } of problems) {
    assert.ok(file === 'x.yaml' && message !== '')
    assert.ok(Number.isInteger(line) && line >= 1 && line <= lines + 1, `line ${line} of ${lines}`)
  }
  for (const document of documents) {
    assert.ok(document.name !== '')
    const line = document.lineOf('spec.backends[0].url')
    assert.ok(Number.isInteger(line) && line >= 1 && line <= lines + 1, `line ${line} of ${lines}`)
  }
}

/** What is right stays right: an object with its defaults is judged as the one without. */
function objectsAreJudged(input: Buffer): void {
  const result = validateResource(parsed(input.toString()))
  if ('problems' in result) {
    assert.ok(result.problems.length > 0)
    for (const { message } of result.problems) assert.ok(message !== '')
  } else assert.deepEqual(validateResource(structuredClone(result.resource)), result)
}

const YAML = [
  '\n',
  '\n  ',
  '- ',
  ': ',
  '#',
  '---\n',
  '...\n',
  '&a ',
  '*a',
  '<<: *a',
  '!!str ',
  '!<tag> ',
  '|\n',
  '>-\n',
  '"',
  "'",
  '{',
  '}',
  '[',
  ']',
  '? ',
  '%YAML 1.2\n',
  '\t',
  'yes',
  '012',
  '0x1f',
  '.inf',
  '\ufeff',
  '\u0085',
  '\u2028',
  '__proto__: 1\n',
  'kind: LlamaModel\n',
  'models:\n',
  '&a [*a]',
]
const RULES = [
  '"spec":',
  '"backends":[',
  '"url":"http://x"',
  '"service":',
  '"limits":{',
  '"requestsPerMinute":',
  '"100m"',
  '"1Gi"',
  '"30s"',
  '"0s"',
  '"fallback":{',
  '"when":["All"]',
  '"autoscaling":{',
  '1.5',
  '99999999999999999999',
  '"weight":-1',
]

export const resources: readonly Target[] = [
  { name: 'yaml', seeds: ['examples/*.yaml', 'test/crds/accept/*.yaml'], tokens: YAML, check: filesAreRead },
  { name: 'object', json: true, tokens: [...JSON_TOKENS, ...RULES], check: objectsAreJudged },
]
