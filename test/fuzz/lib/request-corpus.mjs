import { scraps as common } from './corpus.mjs'
import { blank } from './mark.mjs'

const latin1 = (text) => Buffer.from(text, 'latin1')

const host = 'Host: a.example\r\n'
const get = `GET /${blank} HTTP/1.1\r\n${host}\r\n`
const post = (fields) => `POST /${blank} HTTP/1.1\r\n${host}${fields}\r\n`
const chunked = post('Transfer-Encoding: chunked\r\n')
const smuggled = `GET /smuggled-${blank} HTTP/1.1\r\n${host}\r\n`

/** Requests of each shape that clients send, and of those that attackers do. */
const whole = [
  get,
  `GET /${blank}?a=b&c=%2f%00 HTTP/1.1\r\n${host}Accept: */*\r\nCookie: a=b; c=d\r\n\r\n`,
  `HEAD /${blank} HTTP/1.1\r\n${host}\r\n`,
  `OPTIONS * HTTP/1.1\r\n${host}X-Mark: ${blank}\r\n\r\n`,
  `DELETE /${blank} HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\nhi`,
  `GET http://a.example/${blank} HTTP/1.1\r\n${host}\r\n`,
  `GET /${blank} HTTP/1.0\r\n\r\n`,
  `GET /${blank} HTTP/1.0\r\n${host}Connection: keep-alive\r\n\r\n`,
  `CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\nX-Mark: ${blank}\r\n\r\n`,
  `${post('Content-Length: 12\r\n')}${blank}`,
  `${post('Content-Length: 0\r\n')}`,
  `${post('Content-Length: 5\r\nExpect: 100-continue\r\n')}hello`,
  `${chunked}5\r\nhello\r\n0\r\n\r\n`,
  `${chunked}c\r\n${blank}\r\n1;a=b\r\nx\r\n0\r\n\r\n`,
  `${chunked}5\r\nhello\r\n0\r\nX-Checksum: ${blank}\r\n\r\n`,
  `${post('Connection: close, X-Mark, Content-Length\r\nContent-Length: 1\r\n')}x`,
  `GET /${blank} HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  `${get}${get}`,
  `${post('Content-Length: 2\r\n')}hi${get}`,
  `${chunked}5\r\nhello\r\n0\r\n\r\n${get}`,
  `${post('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n')}0\r\n\r\n${smuggled}`,
  `${post('Content-Length: 6\r\nTransfer-Encoding : chunked\r\n')}0\r\n\r\nG${smuggled}`,
  `${post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n')}0\r\n\r\n${smuggled}`,
  `${post(`Content-Length: ${smuggled.length}\r\n`)}${smuggled}`,
  `GET /${blank} HTTP/1.1\r\n${host}Content-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
  `${chunked}${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`,
].map(latin1)

/** How heads begin. */
const first = [
  `GET /${blank} HTTP/1.1\r\n${host}`,
  `POST /${blank} HTTP/1.1\r\n${host}`,
  `POST /${blank} HTTP/1.1\r\n${host}`,
  `PUT /a/../${blank}//b%2f.. HTTP/1.1\r\n${host}`,
  `POST http://b.example:80/${blank} HTTP/1.1\r\n${host}`,
  `POST /${blank} HTTP/1.0\r\n`,
  `HEAD /${blank} HTTP/1.1\r\n${host}`,
  `X-${blank} /${blank} HTTP/1.1\r\n${host}`,
].map(latin1)

const fields = [
  'Content-Length: 3\r\n',
  'Content-Length: 3\r\n',
  'content-length:3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: chunked\r\n',
  'transfer-encoding:Chunked \r\n',
  'Transfer_Encoding: chunked\r\n',
  'TE: trailers, deflate\r\n',
  'Connection: close\r\n',
  'Connection: keep-alive, Host, Transfer-Encoding\r\n',
  'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n',
  'Expect: 100-continue\r\n',
  'Host: b.example\r\n',
  'X: \r\n',
  'X-Exchange: 1\r\n',
  'X-Forwarded-For: 1.2.3.4, ::1\r\n',
  'Max-Forwards: 0\r\n',
  'Range: bytes=0-1,3-\r\n',
  `X-Mark: ${blank}\r\n`,
  'X-Bytes: \x80\xff\t~\r\n',
].map(latin1)

const bodies = [
  '',
  'abc',
  '3\r\nabc\r\n0\r\n\r\n',
  '3;a\r\nabc\r\n0\r\nT: u\r\n\r\n',
  '3\r\nabc\r\n0\r\nContent-Length: 9\r\nHost: b\r\n\r\n',
  '0\r\n\r\n',
  smuggled,
].map(latin1)

const scraps = [
  ...common,
  ...[
    ' HTTP/1.1\r\n',
    ' HTTP/1.1\r\nX: y\r\n\r\n',
    'GET ',
    'HEAD ',
    'CONNECT ',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'http://',
    '//',
    '/../',
    '*',
    '@',
    '#',
    '%00',
    '\\',
    '[::1]',
    'Host: b\r\n',
    'Host:\r\n',
    'Expect: 100-continue\r\n',
    'Upgrade: websocket\r\nConnection: upgrade\r\n',
    smuggled,
  ].map(latin1),
]

/** What mutated requests are made of. */
export const requests = {
  whole,
  first,
  parts: fields,
  seam: latin1('\r\n'),
  last: bodies,
  scraps,
  ahead: latin1('\r\n'),
  within: latin1('X-Part-Of-Many: 1\r\n'),
}
