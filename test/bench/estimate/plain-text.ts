/** A file's text as a person would paste it: without HTML tags or roff macros. PURE. */
import type { Form } from './sources.ts'

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', nbsp: ' ', apos: "'" }

/** `compact`: JSON without its spaces, as programs send it. */
export function plainText(raw: string, form: Form, compact: boolean): string {
  if (form === 'html') return tidy(ofHtml(raw))
  if (form === 'man') return tidy(ofMan(raw))
  return form === 'json' && compact ? compactJson(raw) : raw
}

const tidy = (text: string): string =>
  text
    .replace(/[ \t]+\n/g, '\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim()

function ofHtml(raw: string): string {
  return raw
    .replace(/<(script|style|head)\b.*?<\/\1>/gis, '')
    .replace(/\s*<\/?(p|div|h\d|li|ul|ol|dl|dt|dd|tr|table|br|pre|title)\b[^>]*>\s*/gi, '\n')
    .replace(/<[^>]*>/g, '')
    .replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (whole, decimal, hex, name) =>
      name === undefined
        ? String.fromCodePoint(decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal))
        : (ENTITIES[name] ?? whole),
    )
}

/** Requests are dropped, but for those whose arguments are text. */
function ofMan(raw: string): string {
  const lines = raw.split('\n').flatMap((line) => {
    const request = /^[.']\s*(\S*)\s*(.*)$/.exec(line)
    if (request === null) return [line]
    const [, name = '', args = ''] = request
    if (/^(SH|SS)$/.test(name)) return ['', unquoted(args)]
    if (/^(B|I|R|BR|RB|BI|IB|IR|RI|SM|SB)$/.test(name)) return [unquoted(args)]
    return /^(PP|P|LP|TP|IP)$/.test(name) ? [''] : []
  })
  return lines
    .join('\n')
    .replace(/\\f(\[\w*\]|\(..|.)/g, '')
    .replace(/\\s[-+]?\d/g, '')
    .replace(/\\(\*|\()..|\\\[[^\]]*\]/g, '')
    .replace(/\\([-\\.' ])/g, '$1')
    .replace(/\\[&|^%/:]/g, '')
    .replace(/\\e/g, '\\')
}

const unquoted = (args: string): string => args.replaceAll('"', '')

function compactJson(raw: string): string {
  try {
    return JSON.stringify(JSON.parse(raw))
  } catch {
    return raw // with comments
  }
}
