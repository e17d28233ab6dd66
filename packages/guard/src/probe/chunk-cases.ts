import { chunked, type ProbeCase, thenPlain } from './probe-case.js'
import { refused } from './verdicts.js'

const chunks = (body: string): ProbeCase['send'] => thenPlain((to) => chunked(to, body))
const hard = { level: 'must', right: '400 or closed', judge: refused() } as const
const soft = { level: 'may', right: '400 or closed', judge: refused({ served: 'tolerated' }) } as const
const size = 'RFC 9112 section 7.1'
const extension = 'RFC 9112 section 7.1.1'
const rest = '\r\nseven\r\n0\r\n\r\n'

/** How chunks are written. */
export const chunkCases: readonly ProbeCase[] = [
  { id: 'chunk-hex-prefix', says: 'a chunk size with 0x', source: size, ...hard, send: chunks(`0x5${rest}`) },
  { id: 'chunk-plus', says: 'a chunk size with a plus', source: size, ...hard, send: chunks(`+5${rest}`) },
  { id: 'chunk-minus', says: 'a negative chunk size', source: size, ...hard, send: chunks(`-5${rest}`) },
  {
    id: 'chunk-underscore',
    says: 'a chunk size with an underscore',
    source: size,
    ...hard,
    send: chunks('1_0\r\nsixteen letters.\r\n0\r\n\r\n'),
  },
  {
    id: 'chunk-space-before',
    says: 'a space before a chunk size',
    source: size,
    ...hard,
    send: chunks(` 5${rest}`),
  },
  {
    id: 'chunk-space-behind',
    says: 'a space behind a chunk size',
    source: size,
    ...hard,
    send: chunks(`5 ${rest}`),
  },
  {
    id: 'chunk-too-large',
    says: 'a chunk size beyond 64 bits',
    source: size,
    ...hard,
    send: chunks(`fffffffffffffffe5${rest}`),
  },
  {
    id: 'chunk-longer',
    says: 'more bytes than the chunk size says',
    source: size,
    ...hard,
    send: chunks('5\r\nseventy\r\n0\r\n\r\n'),
  },
  {
    id: 'chunk-unended',
    says: 'no line end behind the bytes of a chunk',
    source: size,
    ...hard,
    send: chunks('5\r\nseven0\r\n\r\n'),
  },
  {
    id: 'chunk-size-cr',
    says: 'a chunk size that ends with CR alone',
    source: size,
    ...hard,
    send: chunks('5\rseven\r\n0\r\n\r\n'),
  },
  {
    id: 'chunk-unfinished',
    says: 'no last chunk',
    source: size,
    level: 'must',
    right: '400, closed, or no answer',
    judge: refused({ silent: 'right' }),
    send: (to) => [{ bytes: chunked(to, '5\r\nseven\r\n'), finish: true }],
  },
  {
    id: 'chunk-data-lf',
    says: 'bytes of a chunk that end with LF alone',
    source: size,
    ...soft,
    send: chunks('5\r\nseven\n0\r\n\r\n'),
  },
  {
    id: 'chunk-end-lf',
    says: 'a last line that is LF alone',
    source: size,
    ...soft,
    send: chunks('5\r\nseven\r\n0\r\n\n'),
  },
  {
    id: 'chunk-extension-lf',
    says: 'a chunk extension that ends with LF alone',
    source: extension,
    ...soft,
    send: chunks('5;\nseven\r\n0\r\n\r\n'),
  },
  {
    id: 'chunk-extension-no-name',
    says: 'a semicolon and no extension behind it',
    source: extension,
    ...hard,
    send: chunks(`5;${rest}`),
  },
  {
    id: 'chunk-extension-bracket',
    says: 'a bracket in the name of a chunk extension',
    source: extension,
    ...hard,
    send: chunks(`5;a[b=c${rest}`),
  },
  {
    id: 'chunk-extension-nul',
    says: 'a NUL in a chunk extension',
    source: extension,
    ...hard,
    send: chunks(`5;\0name${rest}`),
  },
  {
    id: 'chunk-extension-cr',
    says: 'a CR alone in a chunk extension',
    source: 'RFC 9112 section 2.2',
    ...hard,
    send: chunks(`5;a\rb${rest}`),
  },
  {
    id: 'chunk-extension-long',
    says: 'a chunk extension of 64 KiB',
    source: extension,
    level: 'none',
    right: '400, 431 or closed',
    judge: refused({ statuses: [400, 431], served: 'tolerated' }),
    send: chunks(`5;a=${'b'.repeat(65_536)}${rest}`),
  },
]
