import { YAMLException } from 'js-yaml'
import { type Chunk, Composer, type YamlDocument, type YamlProblem } from './yaml-composer.ts'

/**
 * Reads a file of YAML documents. Each stands alone: one that is not YAML gives a problem here, and the others are read all the same.
 * Throws nothing. Empty documents are left out.
 */
export function parseYaml(text: string): { documents: YamlDocument[]; problems: YamlProblem[] } {
  const documents: YamlDocument[] = []
  const problems: YamlProblem[] = []
  for (const chunk of splitDocuments(text)) {
    try {
      documents.push(...new Composer(chunk).documents())
    } catch (error) {
      if (!(error instanceof YAMLException)) throw error
      problems.push({ line: chunk.firstLine + (error.mark?.line ?? 0), path: '', message: `not valid YAML: ${error.reason}` })
    }
  }
  return { documents, problems }
}

/** A line that begins with "---" begins a document wherever it stands. Comments and directives before it belong to it. */
function splitDocuments(text: string): Chunk[] {
  const chunks: Chunk[] = []
  let lines: string[] = []
  let firstLine = 1
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\uFEFF?---(\s|$)/.test(line) && !lines.every((before) => /^\uFEFF?\s*([#%].*)?$/.test(before))) {
      chunks.push({ text: lines.join('\n'), firstLine })
      lines = []
      firstLine = index + 1
    }
    lines.push(line)
  }
  return [...chunks, { text: lines.join('\n'), firstLine }]
}
