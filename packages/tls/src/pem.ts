/** One block of a PEM text (RFC 7468): `-----BEGIN CERTIFICATE-----` and what follows, to its end. */
export interface PemBlock {
  /** `'CERTIFICATE'`, `'PRIVATE KEY'`… */
  readonly label: string
  /** The block alone, its lines ended by `\n`. */
  readonly text: string
}

const begin = '-----BEGIN '
const dashes = '-----'

/**
 * The blocks of a PEM text, in order. What stands around them is left out, as people put comments and other programs' output there;
 * so are a byte order mark, `\r` and spaces around lines. A block without an end, and what follows it, is none.
 */
export function pemBlocks(text: string): PemBlock[] {
  const blocks: PemBlock[] = []
  for (let at = text.indexOf(begin); at !== -1; at = text.indexOf(begin, at)) {
    const from = at + begin.length
    const close = text.indexOf(dashes, from)
    const label = close === -1 ? '' : text.slice(from, close)
    at = from
    if (!/^[A-Z\d ]{1,40}$/.test(label)) continue
    const last = `${dashes}END ${label}${dashes}`
    const end = text.indexOf(last, close)
    if (end === -1) break
    at = end + last.length
    blocks.push({ label, text: ownLines(text.slice(from - begin.length, at)) })
  }
  return blocks
}

/** Those that are certificates. */
export function certificateBlocks(text: string): PemBlock[] {
  return pemBlocks(text).filter(({ label }) => /^(?:X509 |TRUSTED )?CERTIFICATE$/.test(label))
}

/** Through a Buffer, since a slice of a string holds all of the string. */
function ownLines(text: string): string {
  const lines = text.split('\n').map((line) => line.trim())
  return Buffer.from(`${lines.join('\n')}\n`, 'latin1').toString('latin1')
}
