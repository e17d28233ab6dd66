// What mutations begin with, and what they put in.

const latin1 = (text) => Buffer.from(text, 'latin1')

const ok = 'HTTP/1.1 200 OK\r\n'
const chunked = `${ok}Transfer-Encoding: chunked\r\n\r\n`

/** Replies of each shape that the parser knows. */
const whole = [
  `${ok}Content-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello`,
  `${ok}Content-Length: 0\r\nKeep-Alive: timeout=5, max=10\r\nConnection: keep-alive\r\n\r\n`,
  `${ok}Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 12\r\nConnection: close\r\n\r\nhello, world`,
  `${ok}\r\nuntil the connection ends`,
  `HTTP/1.0 200 OK\r\nServer: x\r\n\r\nuntil the connection ends`,
  `HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc`,
  `${chunked}5\r\nhello\r\n0\r\n\r\n`,
  `${chunked}1\r\na\r\nA\r\n0123456789\r\n1f\r\n0123456789abcdef0123456789abcde\r\n0\r\n\r\n`,
  `${chunked}5;a;b=c;d="e\\"f"\r\nhello\r\n0;x\r\n\r\n`,
  `${chunked}5\r\nhello\r\n0\r\nX-Checksum: 1234\r\nServer-Timing: a;dur=1\r\n\r\n`,
  `${ok}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
  'HTTP/1.1 204 No Content\r\nX: y\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 5\r\n\r\n',
  `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n${ok}Content-Length: 2\r\n\r\nok`,
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05hello',
  'HTTP/1.1 500 Internal \xe9\r\nSet-Cookie: a=b; Path=/\r\nSet-Cookie: c=d\r\nX-Long:   many  blanks \t\r\nContent-Length: 1\r\n\r\n!',
].map(latin1)

/** Lines that a head is put together from. */
const statusLines = [
  ok,
  ok,
  ok,
  ok,
  'HTTP/1.0 200 OK\r\n',
  'HTTP/1.1 404 Not Found\r\n',
  'HTTP/1.1 204 \r\n',
  'HTTP/1.1 304\r\n',
  'HTTP/1.1 101 x\r\n',
  'HTTP/1.1 100 x\r\n\r\nHTTP/1.1 200 OK\r\n',
].map(latin1)

/** Fields that a head is put together from. */
const fields = [
  'Content-Length: 3\r\n',
  'Content-Length: 3\r\n',
  'content-length:3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: chunked\r\n',
  'transfer-encoding:Chunked \r\n',
  'Connection: close\r\n',
  'Connection: keep-alive, x\r\n',
  'Connection: upgrade\r\n',
  'Upgrade: h2c\r\n',
  'Keep-Alive: timeout=1\r\n',
  'X: \r\n',
  'x-y: z\r\n',
  'X-Bytes: \x80\xff\t~\r\n',
].map(latin1)

/** Bodies, or what may pass for one. */
const bodies = [
  '',
  'abc',
  '3\r\nabc\r\n0\r\n\r\n',
  '3;a\r\nabc\r\n0\r\nT: u\r\n\r\n',
  'abc\r\n\r\n',
  '0\r\n\r\n',
].map(latin1)

/** What is put in anywhere. */
export const scraps = [
  ...[
    '\r\n',
    '\n',
    '\r',
    '\r\n\r\n',
    '\n\n',
    '\r\r\n',
    '\0',
    ' ',
    '\t',
    '  ',
    '\x0b',
    '\x7f',
    '\x80',
    '\xff',
    '\xa0',
  ],
  ...[':', ';', ',', '=', '"', '\\', '/', '+', '-', '_', '.', '0x', '0', '00', '1', '9', 'a', 'F', 'g'],
  ...[
    'Content-Length: 5\r\n',
    'Content-Length: 0\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Connection: close\r\n',
  ],
  ...[
    '\r\nContent-Length: 1',
    '\r\nTransfer-Encoding: gzip',
    ' chunked',
    ', chunked',
    'chunked,',
    ' 5',
    ',5',
    '\r\n folded',
  ],
  ...[
    'HTTP/1.1 ',
    'HTTP/1.0 ',
    'HTTP/1.1 100 \r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx',
    'HTTP/2.0 ',
    ' 600 ',
  ],
  ...[
    '0\r\n\r\n',
    '1\r\nx\r\n',
    '5\r\n',
    'ffffffffffffff\r\n',
    '7fffffffffffffff\r\n',
    '99999999999999999999',
    ';a=b',
    ';a="b',
    ' ;a',
  ],
].map(latin1)

/** What mutated replies are made of. */
export const replies = {
  whole,
  first: statusLines,
  parts: fields,
  seam: latin1('\r\n'),
  last: bodies,
  scraps,
  ahead: latin1('HTTP/1.1 103 x\r\n\r\n'),
  within: latin1('X-Part-Of-Many: 1\r\n'),
}

/** What lies behind the bytes that the parser is given: each would change what it says, had it read on. */
export const poisons = [
  '\r\n\r\n0\r\n\r\n',
  '\n\r\n\r\nHTTP/1.1 ',
  '0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n',
  ' \t:;"=\r\n\r\n\n\n',
  '\0\xff\xff\xff\0\0\0',
  '9999999999',
].map(latin1)
