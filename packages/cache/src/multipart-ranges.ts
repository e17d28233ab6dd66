import type { BodyInit } from '@sluice/core'
import { type ByteRange, formatContentRange } from '@sluice/headers'
import { joinedBody } from './joined-body.js'

/** What a multipart answer is made from. */
export interface MultipartSource {
  /** Each part's `Content-Type`, where the representation has one. */
  readonly type: string | undefined
  /** Bytes of the whole representation, where known. */
  readonly size: number | undefined
  /** The bytes of a range. */
  readonly bytes: (range: ByteRange) => BodyInit
}

/** Content of type multipart/byteranges (RFC 9110 section 14.6). It streams; its length is known before. */
export function multipartRanges(
  ranges: readonly ByteRange[],
  boundary: string,
  { type, size, bytes }: MultipartSource,
): { body: BodyInit; length: number } {
  const parts: BodyInit[] = []
  let length = 0
  const text = (text: string): void => {
    const head = Buffer.from(text, 'latin1')
    parts.push(head)
    length += head.length
  }
  ranges.forEach((range, i) => {
    const content = type === undefined ? '' : `Content-Type: ${type}\r\n`
    const where = formatContentRange(range.first, range.last, size)
    text(`${i === 0 ? '' : '\r\n'}--${boundary}\r\n${content}Content-Range: ${where}\r\n\r\n`)
    parts.push(bytes(range))
    length += range.last - range.first + 1
  })
  text(`\r\n--${boundary}--\r\n`)
  return { body: joinedBody(parts, length), length }
}
