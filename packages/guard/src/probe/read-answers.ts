/** An answer as a client of HTTP/1.1 reads it. */
export interface ProbeAnswer {
  readonly status: number
  /** Names in lower case; values of a repeated one joined by a comma. */
  readonly fields: ReadonlyMap<string, string>
  /** Without chunk framing, one character a byte. */
  readonly body: string
  /** Whether it came to its end. */
  readonly whole: boolean
}

/**
 * Takes what a connection has received apart into answers, the informational ones too. What is no answer ends the list.
 * @param text one character a byte
 * @param ended whether the connection is over: that ends a body without a length
 * @param bodiless by the number of the final answer: whether it is one to HEAD
 */
export function readAnswers(
  text: string,
  ended: boolean,
  bodiless: (answer: number) => boolean,
): readonly ProbeAnswer[] {
  const answers: ProbeAnswer[] = []
  let finals = 0
  let at = 0
  while (at < text.length) {
    const headEnd = text.indexOf('\r\n\r\n', at)
    const line = /^HTTP\/1\.[01] (\d{3})(?: [^\r\n]*)?\r\n/.exec(text.slice(at, at + 512))
    if (headEnd < 0 || line === null) break
    const status = Number(line[1])
    const fields = readFields(text.slice(at + line[0].length, headEnd))
    at = headEnd + 4
    const interim = status < 200 && status !== 101
    const empty = interim || status === 204 || status === 304 || bodiless(finals)
    const body = empty ? { text: '', whole: true, end: at } : readBody(text, at, fields, ended)
    answers.push({ status, fields, body: body.text, whole: body.whole })
    if (!interim) finals++
    at = body.end
    if (!body.whole) break
  }
  return answers
}

function readFields(head: string): Map<string, string> {
  const fields = new Map<string, string>()
  for (const line of head.split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon <= 0) continue
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    const before = fields.get(name)
    fields.set(name, before === undefined ? value : `${before}, ${value}`)
  }
  return fields
}

interface Body {
  readonly text: string
  readonly whole: boolean
  readonly end: number
}

function readBody(text: string, at: number, fields: ReadonlyMap<string, string>, ended: boolean): Body {
  if (/(?:^|,)\s*chunked\s*$/i.test(fields.get('transfer-encoding') ?? '')) return readChunks(text, at)
  const length = fields.get('content-length')
  if (length === undefined) return { text: text.slice(at), whole: ended, end: text.length }
  const end = Math.min(at + Number(length), text.length)
  return { text: text.slice(at, end), whole: end === at + Number(length), end }
}

function readChunks(text: string, start: number): Body {
  let body = ''
  let at = start
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at)
    const size = lineEnd < 0 ? Number.NaN : Number.parseInt(text.slice(at, lineEnd), 16)
    if (Number.isNaN(size)) break
    if (size === 0) {
      // Trailer fields, if any, end with an empty line, as does their lack.
      const end = text.startsWith('\r\n', lineEnd + 2) ? lineEnd : text.indexOf('\r\n\r\n', lineEnd + 2)
      if (end < 0) break
      return { text: body, whole: true, end: end + 4 }
    }
    body += text.slice(lineEnd + 2, lineEnd + 2 + size)
    at = lineEnd + 2 + size + 2
    if (at > text.length) break
  }
  return { text: body, whole: false, end: text.length }
}
