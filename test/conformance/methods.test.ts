import { METHODS } from 'node:http'
import { describe, expect, it } from 'vitest'
import { fronts, rawFronts } from '../kit/fronts.js'
import { echo, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { answering, rawOrigin } from '../kit/raw-origin.js'
import { rawRequest, value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

/** Registered methods that no rule of HTTP treats apart; QUERY where this Node's parser knows it. */
const methods = [
  'GET',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'PROPFIND',
  'MKCOL',
  'REPORT',
  'QUERY',
]
const withBody = ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'REPORT', 'QUERY', 'GET']

describe.each(fronts)('methods through $name', (kind) => {
  it.each(methods.filter((method) => METHODS.includes(method)))(
    '%s reaches the target as it is',
    async (method) => {
      const origin = own(await originServer())
      const front = own(await kind.start(origin.url))
      const answer = await front.client.ask({ method, path: '/thing' })
      expect(answer).toMatchObject({ status: 200, text: 'ok', complete: true })
      expect(origin.requests.map(({ method, url }) => `${method} ${url}`)).toEqual([`${method} /thing`])
    },
  )

  it.each(withBody.filter((method) => METHODS.includes(method)))('%s carries a body', async (method) => {
    const origin = own(await originServer(echo))
    const front = own(await kind.start(origin.url))
    const answer = await front.client.ask({ method, path: '/', body: 'some bytes' })
    expect(answer).toMatchObject({ status: 200, text: 'some bytes', complete: true })
  })

  it('HEAD has the fields of GET, its length included, and no body', async () => {
    const origin = own(
      await originServer((_req, res) => {
        res.writeHead(200, { 'Content-Length': '12345', ETag: '"x"' })
        res.end()
      }),
    )
    const front = own(await kind.start(origin.url))
    const answer = await front.client.ask({ method: 'HEAD', path: '/' })
    expect(answer).toMatchObject({ status: 200, text: '', complete: true })
    expect(value(answer.headers, 'content-length')).toBe('12345')
    expect(value(answer.headers, 'etag')).toBe('"x"')
    expect(origin.requests[0]?.method).toBe('HEAD')
    // The connection is fit for the next exchange.
    expect(await front.client.ask({ method: 'HEAD', path: '/2' })).toMatchObject({
      status: 200,
      complete: true,
    })
  })
})

describe.each(rawFronts)('methods as bytes through $name', (kind) => {
  it('a method that the parser does not know gets 400 and the target hears nothing', async () => {
    const origin = own(await rawOrigin(answering('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')))
    const front = own(await kind.start(origin.url))
    const { responses, ended } = await rawRequest(front.port, 'BREW / HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(responses.map(({ status }) => status)).toEqual([400])
    expect(ended).not.toBe('open')
    expect(origin.connections).toHaveLength(0)
  })
})

// Connect has no route for it.
describe.each(rawFronts.filter(({ name }) => !name.includes('Connect')))(
  'OPTIONS * through $name',
  (kind) => {
    it('is about the server, and goes to the target as it is, where the transport can carry it', async () => {
      const origin = own(await originServer())
      const front = own(await kind.start(origin.url))
      const { responses } = await rawRequest(front.port, 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', {
        responses: 1,
      })
      const carried = kind.carries.allRequests
      expect(responses.map(({ status }) => status)).toEqual([carried ? 200 : 501])
      expect(origin.requests.map(({ method, url }) => `${method} ${url}`)).toEqual(
        carried ? ['OPTIONS *'] : [],
      )
    })
  },
)
