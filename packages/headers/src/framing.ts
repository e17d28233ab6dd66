/** The rule that a request's framing breaks. */
export type FramingRule =
  | 'host-repeated'
  | 'length-repeated'
  | 'length-invalid'
  | 'length-with-coding'
  | 'coding-repeated'
  | 'coding-of-version'
  | 'coding-unknown'

/** How a request says where its body ends; or the rule that it breaks, and what is wrong in words. */
export type Framing =
  | { readonly ok: true; readonly body: 'none' | 'length' | 'chunked' | 'stream'; readonly length?: number }
  | { readonly ok: false; readonly rule: FramingRule; readonly reason: string }

const none: Framing = Object.freeze({ ok: true, body: 'none' })
const chunked: Framing = Object.freeze({ ok: true, body: 'chunked' })
const stream: Framing = Object.freeze({ ok: true, body: 'stream' })

function refuse(rule: FramingRule, reason: string): Framing {
  return { ok: false, rule, reason }
}

/**
 * Judges a request's framing in one pass: anything that two parsers could read in two ways is refused, by the name of a rule (RFC 9112
 * sections 6.1 to 6.3 and 3.2). An HTTP/2 request without a length has a body as long as its stream says; `endStream` tells that it
 * has none.
 */
export function judgeFraming(
  raw: readonly string[],
  request: {
    readonly httpVersion: '1.0' | '1.1' | '2.0'
    readonly method: string
    readonly endStream?: boolean
  },
): Framing {
  let length: string | undefined
  let coding: string | undefined
  let hosts = 0
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    switch (name.length) {
      case 4:
        if (name.toLowerCase() === 'host' && ++hosts > 1)
          return refuse('host-repeated', 'more than one Host field')
        break
      case 14:
        if (name.toLowerCase() !== 'content-length') break
        if (length !== undefined) return refuse('length-repeated', 'more than one Content-Length')
        length = raw[i + 1] as string
        break
      case 17:
        if (name.toLowerCase() !== 'transfer-encoding') break
        if (coding !== undefined) return refuse('coding-repeated', 'more than one Transfer-Encoding')
        coding = raw[i + 1] as string
        break
    }
  }
  if (coding !== undefined) {
    if (length !== undefined) return refuse('length-with-coding', 'Content-Length with Transfer-Encoding')
    if (request.httpVersion !== '1.1')
      return refuse('coding-of-version', `Transfer-Encoding in HTTP/${request.httpVersion}`)
    if (coding.toLowerCase() !== 'chunked')
      return refuse('coding-unknown', 'a Transfer-Encoding other than chunked')
    return chunked
  }
  if (length !== undefined) {
    // Zeros ahead are digits to RFC 9110 section 8.6, and to who reads numbers as C does the mark of an octal one.
    if (!/^(?:0|[1-9]\d{0,14})$/.test(length))
      return refuse('length-invalid', 'a Content-Length that is no number')
    return { ok: true, body: 'length', length: Number(length) }
  }
  return request.httpVersion === '2.0' && request.endStream !== true ? stream : none
}
