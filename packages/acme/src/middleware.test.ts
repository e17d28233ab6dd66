import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { chain, toListener } from '@sluice/core'
import { afterEach, expect, it } from 'vitest'
import { answerHttp01 } from './middleware.js'

const token = 'LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0'
const asked: string[] = []
const handler = chain()
  .use(
    answerHttp01({
      http01: async (given) => {
        asked.push(given)
        return given === token ? `${token}.thumb` : undefined
      },
    }),
  )
  .handle((ctx) => ({ status: 200, headers: [], body: `next: ${ctx.out.path}` }))
const server = createServer(toListener(handler))
afterEach(() => {
  asked.length = 0
  server.close()
  server.closeAllConnections()
})

async function ask(
  path: string,
  method = 'GET',
): Promise<{ status: number | undefined; type: unknown; text: string }> {
  if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const [response] = await once(request({ port, path, method, agent: false }).end(), 'response')
  let text = ''
  for await (const chunk of response) text += chunk
  return { status: response.statusCode, type: response.headers['content-type'], text }
}

it('answers a token that somebody waits for', async () => {
  const path = `/.well-known/acme-challenge/${token}`
  expect(await ask(path)).toEqual({ status: 200, type: 'application/octet-stream', text: `${token}.thumb` })
  expect(await ask(path, 'HEAD')).toEqual({ status: 200, type: 'application/octet-stream', text: '' })
})

it.each([
  ['/.well-known/acme-challenge/other', 'GET'],
  ['/.well-known/acme-challenge/', 'GET'],
  [`/.well-known/acme-challenge/${token}/`, 'GET'],
  [`/.well-known/acme-challenge/${token}?x`, 'GET'],
  [`/.well-known/acme-challenge/../acme-challenge/${token}`, 'GET'],
  [`/x/.well-known/acme-challenge/${token}`, 'GET'],
  [`/.well-known/acme-challenge/${token}`, 'POST'],
  ['/', 'GET'],
])('lets %s by %s go on', async (path, method) => {
  expect((await ask(path, method)).text).toMatch(/^next: /)
})
