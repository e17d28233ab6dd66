/** A request on a connection of its own. */
export interface LeakRequest {
  /** What it is, for the report. */
  readonly name: string
  readonly method: string
  readonly bytes: string
  /** It isn't whole: the connection is ended behind it. */
  readonly cut?: boolean
}

/** Fields that make a server show another side of itself. */
const sides: readonly (readonly [string, readonly string[]])[] = [
  ['for JSON', ['Accept: application/json']],
  ['for what there is not', ['Accept: image/x-none', 'Accept-Language: xx', 'Accept-Charset: x']],
  ['that takes codings', ['Accept-Encoding: gzip, deflate, br']],
  ['that takes trailers', ['TE: trailers']],
  ['for a range', ['Range: bytes=0-0']],
  ['for several ranges', ['Range: bytes=0-0, -1']],
  ['for a range that is not there', ['Range: bytes=999999999-']],
  ['if there is none', ['If-None-Match: *']],
  ['if it is newer', ['If-Modified-Since: Fri, 31 Dec 2100 23:59:59 GMT']],
  ['if it is another', ['If-Match: "no such tag"']],
  ['if it is old', ['If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT']],
  ['only from a cache', ['Cache-Control: only-if-cached']],
  ['past caches', ['Cache-Control: no-cache', 'Pragma: no-cache']],
  [
    'that asks caches who they are',
    ['Pragma: x-cache, x-get-cache-key, akamai-x-cache-on', 'Fastly-Debug: 1', 'X-Cache-Debug: 1'],
  ],
  ['that asks to debug', ['X-Debug: 1', 'Debug: 1', 'Cookie: XDEBUG_SESSION=1; debug=1']],
  ['of another site', ['Origin: https://elsewhere.example']],
  ['with an expectation that nobody knows', ['Expect: something']],
  [
    'that says it was forwarded',
    ['X-Forwarded-For: x', 'X-Forwarded-Host: elsewhere.example', 'Forwarded: for=x'],
  ],
  ['with a wrong credential', ['Authorization: Basic eDp4']],
  [
    'for a WebSocket',
    [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    ],
  ],
  [
    'for a WebSocket of no version',
    ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 99', 'Sec-WebSocket-Key: x'],
  ],
  ['for another protocol', ['Connection: Upgrade', 'Upgrade: nothing']],
  ['for HTTP/2', ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk']],
]

/** Requests that are whole and right. */
export function ordinaryRequests(host: string, path: string, fields: readonly string[]): LeakRequest[] {
  const made = (
    name: string,
    method: string,
    lines: readonly string[],
    body = '',
    target = path,
  ): LeakRequest => {
    const close = lines.some((line) => line.startsWith('Connection:')) ? [] : ['Connection: close']
    const head = [`${method} ${target} HTTP/1.1`, `Host: ${host}`, ...close, ...fields, ...lines].join('\r\n')
    return {
      name: `${method} ${shortened(target)}${name === '' ? '' : ` ${name}`}`,
      method,
      bytes: `${head}\r\n\r\n${body}`,
    }
  }
  const odd = (target: string): LeakRequest => made('', 'GET', [], '', target)
  return [
    made('', 'GET', []),
    made('', 'HEAD', []),
    made('', 'OPTIONS', []),
    made('of another site', 'OPTIONS', [
      'Origin: https://elsewhere.example',
      'Access-Control-Request-Method: PUT',
      'Access-Control-Request-Headers: x',
    ]),
    made('', 'TRACE', []),
    made('that goes no further', 'TRACE', ['Max-Forwards: 0']),
    made('that goes one further', 'TRACE', ['Max-Forwards: 1']),
    made('that goes one further', 'OPTIONS', ['Max-Forwards: 1']),
    made('', 'POST', ['Content-Type: application/x-www-form-urlencoded', 'Content-Length: 3'], 'a=b'),
    made(
      'in chunks',
      'POST',
      ['Content-Type: application/json', 'Transfer-Encoding: chunked'],
      '1\r\n{\r\n0\r\n\r\n',
    ),
    made('that waits', 'POST', ['Expect: 100-continue', 'Content-Length: 3'], 'a=b'),
    made(
      'of a type that nobody knows',
      'POST',
      ['Content-Type: x/none', 'Content-Encoding: x', 'Content-Length: 1'],
      'x',
    ),
    made('', 'PROPFIND', ['Content-Length: 0']),
    made('', 'NOSUCHMETHOD', ['Content-Length: 0']),
    ...sides.map(([name, lines]) => made(name, 'GET', lines)),
    made('in full', 'GET', [], '', `http://${host}${path}`),
    odd(`${path}${path.endsWith('/') ? '' : '/'}no-such-page-${host.length}`),
    odd(`${path}?debug=1&trace=1&phpinfo=1&%00=%ff`),
    odd('//'),
    odd('/..%2f..%2fetc/passwd'),
    odd('/../../etc/passwd'),
    odd('/%00'),
    odd('/%zz'),
    odd('/a\\b'),
    odd(`/${'x'.repeat(12_000)}`),
    { name: `GET ${path} of HTTP/1.0`, method: 'GET', bytes: `GET ${path} HTTP/1.0\r\n\r\n` },
    {
      name: `GET ${path} of HTTP/1.0 with a Host`,
      method: 'GET',
      bytes: `GET ${path} HTTP/1.0\r\nHost: ${host}\r\n\r\n`,
    },
  ]
}

/** Requests that are wrong in some way. */
export function malformedRequests(host: string): LeakRequest[] {
  const head = (line: string, ...fields: string[]): string => [line, ...fields, '', ''].join('\r\n')
  const get = 'GET / HTTP/1.1'
  const own = `Host: ${host}`
  const list: [string, string, boolean?][] = [
    ['a line without a version', head('GET /'), true],
    ['a version that there is not', head('GET / HTTP/9.9', own)],
    ['a version that is none', head('GET / HTTP/x', own)],
    ['a method in lower case', head('get / HTTP/1.1', own)],
    ['a method that is no word', head('G@T / HTTP/1.1', own)],
    ['no target', head('GET  HTTP/1.1', own)],
    ['a target that is no path', head('GET x HTTP/1.1', own)],
    ['a control byte in the target', head('GET /\x01 HTTP/1.1', own)],
    ['lines that end in LF', `${get}\n${own}\n\n`],
    ['no Host', head(get)],
    ['two of Host', head(get, own, 'Host: elsewhere.example')],
    ['a Host that is none', head(get, 'Host: a b/c@d')],
    ['an empty Host', head(get, 'Host:')],
    ['a Host of elsewhere', head(get, 'Host: elsewhere.example', 'Connection: close')],
    ['a field without a colon', head(get, own, 'X')],
    ['a blank before the colon', head(get, own, 'X : y')],
    ['a folded field', head(get, own, 'X: y', ' z')],
    ['a NUL in a field', head(get, own, 'X: \x00')],
    ['a field of 100 KB', head(get, own, `X: ${'x'.repeat(100_000)}`)],
    ['3,000 fields', head(get, own, ...Array.from({ length: 3_000 }, (_, i) => `X-${i}: y`))],
    [
      'a length and chunks',
      `${head('POST / HTTP/1.1', own, 'Content-Length: 3', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
    ],
    ['two lengths', `${head('POST / HTTP/1.1', own, 'Content-Length: 3', 'Content-Length: 4')}a=bc`],
    ['a length that is none', head('POST / HTTP/1.1', own, 'Content-Length: -1')],
    ['a chunk that is none', `${head('POST / HTTP/1.1', own, 'Transfer-Encoding: chunked')}zz\r\n\r\n`],
    ['a transfer coding that is none', head('POST / HTTP/1.1', own, 'Transfer-Encoding: x')],
    ['a body that is cut', `${head('POST / HTTP/1.1', own, 'Content-Length: 9')}a`, true],
    ['chunks that are cut', `${head('POST / HTTP/1.1', own, 'Transfer-Encoding: chunked')}5\r\na`, true],
    ['a head that is cut', `${get}\r\nHost`, true],
    ['CONNECT', head('CONNECT elsewhere.example:443 HTTP/1.1', 'Host: elsewhere.example:443')],
    ['CONNECT to no place', head('CONNECT / HTTP/1.1', own)],
    ['OPTIONS *', head('OPTIONS * HTTP/1.1', own, 'Connection: close')],
    ['GET *', head('GET * HTTP/1.1', own)],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', true],
    ['a TLS handshake', '\x16\x03\x01\0\x05\x01\0\0\x01\x03', true],
    ['noise', '\x80\xff\0\x07\r\n\r\n', true],
  ]
  return list.map(([name, bytes, cut]) => ({
    name: `malformed: ${name}`,
    method: '',
    bytes,
    ...(cut === true ? { cut } : {}),
  }))
}

function shortened(target: string): string {
  return target.length > 60 ? `${target.slice(0, 20)}… (${target.length} characters)` : target
}
