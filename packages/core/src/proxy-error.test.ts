import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { get } from '@sluice/headers'
import { afterEach, expect, it, vi } from 'vitest'
import { owner } from '../../../test/kit/owner.js'
import { rawClient } from '../../../test/kit/raw-request.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { within } from '../../../test/kit/until.js'
import {
  asProxyError,
  chain,
  errorPages,
  errorReply,
  type Handler,
  onRequest,
  ProxyError,
  type ProxyErrorCode,
  proxyErrors,
  toListener,
} from './index.js'

trapUnhandled()
const own = owner()
afterEach(() => void vi.restoreAllMocks())

const codes = Object.keys(proxyErrors) as ProxyErrorCode[]

it('has a table in the README that says what the code says', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const rows = readme.match(/^\| `\w+` \| \d{3} .*$/gm)
  const expected = codes.map((code) => {
    const { status, source, phase, retryable } = proxyErrors[code]
    return `| \`${code}\` | ${status} | ${source} | ${phase} | ${retryable ? 'yes' : 'no'} |`
  })
  expect(rows).toEqual(expected)
})

it.each(codes)('%s shows its status and name alone', (code) => {
  const error = new ProxyError(code, {
    message: 'http://10.0.0.1:3000 said no',
    target: 'http://10.0.0.1:3000',
  })
  const { status, headers, body } = errorReply(error)
  expect(status).toBe(proxyErrors[code].status)
  if (code !== 'body_consumed') expect(JSON.stringify([headers, body])).not.toContain('10.0.0.1')
})

it.each([
  [2_500, '3'],
  [1_000, '1'],
  [0, '1'],
  [-5, '1'],
  [1e300, '2147483648'],
  [Number.POSITIVE_INFINITY, undefined],
  [Number.NaN, undefined],
  [undefined, undefined],
])('after %s ms says Retry-After: %s, with a page of its own too', async (ms, seconds) => {
  const error = new ProxyError('destination_unavailable', ms === undefined ? {} : { retryAfter: ms })
  expect(get(errorReply(error).headers, 'retry-after')).toBe(seconds)
  const pages = { 503: 'closed', default: () => ({ status: 503, headers: ['Retry-After', '9'], body: null }) }
  for (const [page, expected] of [
    [{ 503: pages[503] }, seconds],
    [{ default: pages.default }, '9'],
  ] as const) {
    const handler = errorPages({ pages: page })(() => {
      throw error
    })
    const reply = await handler({ req: { headers: {} }, out: {} } as never)
    expect(get(reply.headers, 'retry-after')).toBe(expected)
  }
})

it('calls only what nobody has processed retryable, and only an upstream at fault', () => {
  for (const code of codes) {
    const { retryable, phase, source, status } = proxyErrors[code]
    // A target of HTTP/2 can say that it has refused what it got.
    // What the proxy itself has refused is refused again.
    expect(retryable).toBe((phase === 'connect' && source === 'upstream') || code === 'http_request_refused')
    if (retryable) expect(source).toBe('upstream')
    if (source === 'upstream') expect([502, 504]).toContain(status)
  }
})

it('wraps what is none', () => {
  const known = new ProxyError('client_left')
  expect(asProxyError(known)).toBe(known)
  const cause = new TypeError('bug')
  expect(asProxyError(cause)).toMatchObject({ code: 'proxy_internal_error', status: 500, cause })
  expect(asProxyError('text').message).toContain('text')
})

it.each([null, 'text', Object.create(null), Symbol('s')])(
  'makes an error of anything thrown: %#',
  (thrown) => {
    expect(asProxyError(thrown)).toMatchObject({ code: 'proxy_internal_error', status: 500 })
  },
)

const revoked = Proxy.revocable({}, {})
revoked.revoke()
const throwing = {
  [inspect.custom]() {
    throw new Error('looked at')
  },
}
it.each<[string, unknown]>([
  ['an object that throws when it is shown', throwing],
  ['a proxy that was revoked', revoked.proxy],
  ['an error whose message is none', Object.assign(new Error('x'), { message: Symbol('s') })],
])('%s is answered with 500, by a handler, a hook and a page', async (_name, thrown) => {
  vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  const fail = (): never => {
    throw thrown
  }
  const handlers: [Handler, number][] = [
    [chain().handle(fail), 500],
    [chain().use(onRequest(fail)).handle(fail), 500],
    [
      chain()
        .use(errorPages({ pages: { default: fail } }))
        .handle(() => {
          throw new ProxyError('destination_unavailable')
        }),
      503,
    ],
  ]
  for (const [handler, status] of handlers) {
    const server = createServer(toListener(handler)).listen(0, '127.0.0.1')
    own({ close: () => void server.close() })
    await once(server, 'listening')
    const client = own(await rawClient((server.address() as AddressInfo).port))
    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    await within(client.closed, 'an answer')
    expect(client.text).toMatch(`HTTP/1.1 ${status} `)
  }
})
