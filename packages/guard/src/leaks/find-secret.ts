import type { Secret } from './secret-forms.js'

/** Where a secret shows, and how. */
export interface Sighting {
  readonly secret: string
  readonly disguise: string
  /** What stands around it. */
  readonly shown: string
}

/** Ways to read a text: what a disguise hides. */
const readings: readonly (readonly [string, (text: string) => string])[] = [
  ['', (text) => text],
  ['percent-encoded', (text) => repeated(text, percentDecoded)],
  ['with entities of HTML', (text) => repeated(text, entitiesDecoded)],
  ['with escapes of JSON', (text) => repeated(text, escapesDecoded)],
  ['in base64', base64Decoded],
]

/** Every secret that shows in a text, each once. A text is read as one byte a character. */
export function findSecrets(text: string, secrets: readonly Secret[], numeric = false): Sighting[] {
  const found: Sighting[] = []
  const seen = new Set<Secret>()
  const views = new Map<string, string>()
  for (const [encoding, read] of readings) {
    const view = read(text)
    // Read like this it says nothing that it hasn't said.
    if (encoding !== '' && view === text) continue
    views.set(encoding, view)
  }
  for (const [encoding, view] of views) {
    for (const secret of secrets) {
      if (seen.has(secret) || (secret.number && (numeric || encoding === 'in base64'))) continue
      for (const { disguise, pattern } of secret.forms) {
        const match = pattern.exec(view)
        if (match === null) continue
        seen.add(secret)
        const how =
          encoding === '' ? disguise : disguise === 'as it is' ? encoding : `${encoding}, ${disguise}`
        found.push({ secret: secret.name, disguise: how, shown: around(view, match) })
        break
      }
    }
  }
  return found
}

/** Some characters before and after, as far as they can be read. */
function around(text: string, { index, 0: match }: RegExpExecArray): string {
  const end = index + match.length
  const before = (/[ -~]*$/.exec(text.slice(Math.max(0, index - 30), index)) as RegExpExecArray)[0]
  const after = (/^[ -~]*/.exec(text.slice(end, end + 30)) as RegExpExecArray)[0]
  const from = index - before.length
  const to = end + after.length
  return `${from > 0 ? '…' : ''}${before}${match}${after}${to < text.length ? '…' : ''}`
}

/** Encoded twice, decoded twice. */
function repeated(text: string, decode: (text: string) => string): string {
  let view = text
  for (let i = 0; i < 3; i++) {
    const next = decode(view)
    if (next === view) break
    view = next
  }
  return view
}

function percentDecoded(text: string): string {
  return text.replaceAll(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

function entitiesDecoded(text: string): string {
  return text
    .replaceAll(/&#x([\da-f]{1,6});?/gi, (all, hex: string) => character(Number.parseInt(hex, 16), all))
    .replaceAll(/&#(\d{1,7});?/g, (all, digits: string) => character(Number(digits), all))
    .replaceAll(/&(amp|colon|sol|period|hyphen|lsqb|rsqb|bsol);/g, (all, name: string) => named[name] ?? all)
}

const named: Record<string, string> = {
  amp: '&',
  colon: ':',
  sol: '/',
  period: '.',
  hyphen: '-',
  lsqb: '[',
  rsqb: ']',
  bsol: '\\',
}

function character(code: number, instead: string): string {
  return code <= 0xff ? String.fromCharCode(code) : instead
}

function escapesDecoded(text: string): string {
  return text
    .replaceAll(/\\u00([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    .replaceAll(/\\x([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    .replaceAll(/\\([/.:-])/g, '$1')
}

/** All that may be base64 or base64url in a text, decoded from each of the four places where its first group may begin. */
function base64Decoded(text: string): string {
  let decoded = ''
  for (const [run] of text.matchAll(/[\w+/-]{6,}/g))
    for (let from = 0; from < 4; from++)
      decoded += `${Buffer.from(run.slice(from).replaceAll('-', '+').replaceAll('_', '/'), 'base64').toString('latin1')}\n`
  return decoded
}
