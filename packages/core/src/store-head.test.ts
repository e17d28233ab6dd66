import { type IncomingMessage, ServerResponse } from 'node:http'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { storeHead } from './store-head.js'

type Any = ServerResponse & Record<string, unknown>

interface Setting {
  readonly method: string
  readonly minor: number
  readonly sendDate: boolean
  readonly shouldKeepAlive: boolean
  readonly last: boolean
  readonly timeout: number
}

function response(given: Partial<Setting> = {}): Any {
  const {
    method = 'GET',
    minor = 1,
    sendDate = true,
    shouldKeepAlive = true,
    last = false,
    timeout = 0,
  } = given
  const req = { method, httpVersionMajor: 1, httpVersionMinor: minor, headers: {} }
  const res = new ServerResponse(req as IncomingMessage) as Any
  res.sendDate = sendDate
  res.shouldKeepAlive = shouldKeepAlive
  res.maxRequestsOnConnectionReached = last
  res._keepAliveTimeout = timeout
  return res
}

/** All that Node knows of a response, but for the date of now. */
function state(res: Any): unknown {
  const known: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(res))
    if (typeof value !== 'object' || value === null)
      known[key] = key === '_header' ? String(value).replace(/^Date: \w{3}, .*GMT$/m, 'Date: now') : value
  return known
}

const names = [
  'Via',
  'x-a',
  'Date',
  'dAte',
  'Content-Type',
  'Content-Length',
  'content-LENGTH',
  'Set-Cookie',
  'Vary',
  'Server',
]
const ofNode = [
  'Connection',
  'keep-alive',
  'Transfer-Encoding',
  'TRAILER',
  'Expect',
  'Upgrade',
  'Cookie2',
  'a b',
  '',
  'é',
]
const field = fc.tuple(
  fc.oneof({ weight: 20, arbitrary: fc.constantFrom(...names) }, fc.constantFrom(...ofNode)),
  fc.oneof(
    { weight: 20, arbitrary: fc.constantFrom('1', '100', 'a', 'é', 'a\tb') },
    fc.constantFrom('close', 'chunked', 'a\r\nb: c', 'Ł'),
  ),
)
const setting = fc.record({
  method: fc.constantFrom('GET', 'GET', 'HEAD', 'POST'),
  minor: fc.constantFrom(1, 1, 0),
  sendDate: fc.boolean(),
  shouldKeepAlive: fc.boolean(),
  last: fc.boolean(),
  timeout: fc.constantFrom(0, 5000),
})

it('leaves a response as writeHead does, or as it was', () => {
  let stored = 0
  fc.assert(
    fc.property(
      setting,
      fc.constantFrom(200, 404, 204, 205, 304, 599),
      fc.array(field, { maxLength: 8 }),
      (with_, status, fields) => {
        const ours = response(with_)
        const before = state(ours)
        if (!storeHead(ours, status, fields.flat())) {
          expect(state(ours)).toEqual(before)
          return
        }
        stored++
        // What Node throws at must have been left to it.
        const theirs = response(with_)
        theirs.writeHead(status, fields.flat())
        // Node keeps the length for `strictContentLength` alone, under which nothing is stored.
        expect(state(ours)).toEqual({ ...(state(theirs) as object), _contentLength: null })
      },
    ),
    { numRuns: 3000 },
  )
  expect(stored).toBeGreaterThan(300)
})

describe('leaves it to writeHead', () => {
  const refuse = (res: Any): void => {
    const before = state(res)
    expect(storeHead(res, 200, ['a', 'b'])).toBe(false)
    expect(state(res)).toEqual(before)
  }

  it('where somebody has replaced that', () => {
    const res = response()
    const { writeHead } = res
    res.writeHead = function patched(this: Any, ...args: unknown[]) {
      return writeHead.apply(this, args as Parameters<typeof writeHead>)
    } as typeof writeHead
    refuse(res)
    const { prototype } = ServerResponse
    const own = prototype.writeHead
    prototype.writeHead = function traced(this: ServerResponse, ...args: unknown[]) {
      return own.apply(this, args as Parameters<typeof own>)
    } as typeof own
    try {
      refuse(response())
    } finally {
      prototype.writeHead = own
    }
  })

  it('where Node counts the bytes, the app has named the status, or a head is there', () => {
    refuse(Object.assign(response(), { strictContentLength: true }))
    refuse(Object.assign(response(), { statusMessage: 'Fine' }))
    refuse(Object.assign(response(), { _expect_continue: true }))
    const begun = response()
    begun.writeHead(200)
    refuse(begun)
  })
})

it('stores the common head', () => {
  expect(
    storeHead(response(), 200, ['Content-Type', 'text/plain', 'Content-Length', '5', 'Via', '1.1 x']),
  ).toBe(true)
  expect(storeHead(response(), 404, ['Content-Type', 'text/plain'])).toBe(true)
})
