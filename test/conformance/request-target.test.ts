import { describe, expect, it } from 'vitest'
import { http2Fronts, rawFronts, twoFronts } from '../kit/fronts.js'
import { owner } from '../kit/owner.js'
import { answering, rawOrigin } from '../kit/raw-origin.js'
import { rawRequest, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

const ok = answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')

/** Request-targets that some proxy somewhere has decoded, encoded, merged or resolved. */
const targets = [
  '/',
  '/a%2Fb/%2f',
  '/100%25/%2525',
  '//',
  '//two//slashes///',
  '//10.0.0.1/looks-like-a-host',
  '/?a=1&a=2;b=3',
  '/?',
  '/??',
  '/path?q?r=/s',
  '/%zz/%',
  '/%00%0d%0a',
  '/a/./b/../c',
  '/..',
  '/../../etc/passwd',
  '/%2e%2e/%2E',
  '/a+b%20c',
  '/semi;colon=1;x/y',
  '/[brackets]/{braces}|pipe^caret',
  '/back\\slash',
  '/"quotes"<>`',
  "/~user/!$&'()*,:@",
  '/http://other.example/x',
  `/${'long'.repeat(1500)}`,
]

/** Bytes above 0x7f: Node's HTTP/1 parser refuses them (as RFC 9112 section 3 lets it), its HTTP/2 passes them on. */
const highBytes = ['/\xe9\xff\x80', '/caf\xc3\xa9?\xc3\xa9']

/** These are about what passes where nothing is refused: what `validate` refuses is in its own suite. */
const guard = { validate: false }

const named = (list: readonly string[]): [string, string][] =>
  list.map((target) => [target.slice(0, 40), target])

describe.each(rawFronts)('the request-target through $name', (kind) => {
  it.each(named(targets))('%j goes out as it came in', async (_name, target) => {
    const origin = own(await rawOrigin(ok))
    const front = own(await kind.start({ targets: origin.url, guard }))
    const { responses } = await rawRequest(front.port, `GET ${target} HTTP/1.1\r\nHost: a.example\r\n\r\n`, {
      responses: 1,
    })
    expect(responses.map(({ status }) => status)).toEqual([200])
    expect(origin.connections[0]?.text.split('\r\n')[0]).toBe(`GET ${target} HTTP/1.1`)
  })

  it.each(highBytes)('%j is refused, and the target hears nothing', async (target) => {
    const origin = own(await rawOrigin(ok))
    const front = own(await kind.start(origin.url))
    const { responses, ended } = await rawRequest(
      front.port,
      `GET ${target} HTTP/1.1\r\nHost: a.example\r\n\r\n`,
    )
    expect(responses.map(({ status }) => status)).toEqual([400])
    expect(ended).not.toBe('open')
    expect(origin.connections).toHaveLength(0)
  })

  it.each([
    ['http://other.example/x?y=%2F', '/x?y=%2F', 'other.example'],
    ['http://other.example:8080//x', '//x', 'other.example:8080'],
    ['http://other.example', '/', 'other.example'],
    ['http://other.example?q', '/?q', 'other.example'],
    ['HTTP://10.0.0.1:1/', '/', '10.0.0.1:1'],
    ['https://other.example/s', '/s', 'other.example'],
    ['http://[::1]:99/six', '/six', '[::1]:99'],
  ])('the absolute form %j goes to the chosen target, in origin form', async (target, sent, host) => {
    const origin = own(await rawOrigin(ok))
    const front = own(await kind.start({ targets: origin.url, guard }))
    const request = `GET ${target} HTTP/1.1\r\nHost: ignored.example\r\n\r\n`
    const { responses } = await rawRequest(front.port, request, { responses: 1 })
    expect(responses.map(({ status }) => status)).toEqual([200])
    const lines = origin.connections[0]?.text.split('\r\n') ?? []
    expect(lines[0]).toBe(`GET ${sent} HTTP/1.1`)
    // RFC 9112 section 3.2.2: the target's authority counts, not the Host field.
    expect(lines.filter((line) => /^x-forwarded-host:/i.test(line))).toEqual([`X-Forwarded-Host: ${host}`])
    expect(origin.connections[0]?.text).not.toContain('ignored.example')
  })

  // RFC 9112 section 3.2.4. Frameworks make a path of it before we see it.
  it.each(
    kind.framework || !kind.carries.allRequests ? [] : ['http://other.example', 'http://other.example?q'],
  )('OPTIONS %s is about the whole server, if it has no path and no query', async (target) => {
    const origin = own(await rawOrigin(ok))
    const front = own(await kind.start({ targets: `${origin.url}/base`, guard }))
    await rawRequest(front.port, `OPTIONS ${target} HTTP/1.1\r\nHost: a\r\n\r\n`, { responses: 1 })
    const sent = target.endsWith('?q') ? '/base/?q' : '*'
    expect(origin.connections[0]?.text.split('\r\n')[0]).toBe(`OPTIONS ${sent} HTTP/1.1`)
  })

  const wrong = ['http://user:secret@other.example/', 'http:///x', 'http://a b/']
  // Frameworks look for the path themselves, and newer Nodes throw at this in the middle of it.
  it.each(kind.framework ? wrong : [...wrong, 'http://other.example:port/'])(
    'the absolute form %j is refused',
    async (target) => {
      const origin = own(await rawOrigin(ok))
      const front = own(await kind.start(origin.url))
      const { responses } = await rawRequest(front.port, `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)
      expect(responses.map(({ status }) => status)).toEqual([400])
      expect(origin.connections).toHaveLength(0)
    },
  )
})

describe.each(http2Fronts)('the :path through $name', (kind) => {
  it.each(named([...targets, ...highBytes]))('%j goes out as it came in', async (_name, target) => {
    const origin = own(await rawOrigin(ok))
    const front = own(await kind.start({ targets: origin.url, guard }))
    expect(await front.client.ask({ path: target })).toMatchObject({ status: 200, text: 'ok' })
    expect(origin.connections[0]?.text.split('\r\n')[0]).toBe(`GET ${target} HTTP/1.1`)
  })

  it.each(['http://other.example/x', 'no-slash', '*', ''])('%j is no way to another host', async (target) => {
    const origin = own(await rawOrigin(ok))
    const front = own(await kind.start(origin.url))
    const call = front.client.call({ path: target })
    const status = await call.head.then((head) => head.status).catch(() => 'refused')
    for (const { text } of origin.connections) expect(text).toMatch(/^GET \//)
    expect(['refused', 200, 400, 404, 501]).toContain(status)
  })
})

describe.each(twoFronts)("a target's own path through $name", (kind) => {
  it.each([
    ['/base', '/x', '/base/x'],
    ['/base/', '/x', '/base/x'],
    ['/base', '/', '/base/'],
    ['/base/', '/', '/base/'],
    ['/base', '//x', '/base//x'],
    ['/base/', '//x', '/base//x'],
    ['/base', '/?q=1', '/base/?q=1'],
    ['/base', '/../x', '/base/../x'],
    ['/b%2Fase/', '/%2F%25', '/b%2Fase/%2F%25'],
    ['/a/b/', '/c//d/', '/a/b/c//d/'],
    ['/', '/x', '/x'],
  ])('%j and %j join to %j', async (base, path, joined) => {
    const origin = own(await rawOrigin(ok))
    const front = own(await kind.start(origin.url + base))
    await rawRequest(front.port, `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`, { responses: 1 })
    expect(origin.connections[0]?.text.split('\r\n')[0]).toBe(`GET ${joined} HTTP/1.1`)
    expect(values(origin.connections[0]?.text.split(/\r\n|: /).slice(1) ?? [], 'host')).toEqual([
      `127.0.0.1:${origin.port}`,
    ])
  })
})
