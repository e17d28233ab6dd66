import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { owner } from '../../test/kit/owner.js'
import { program } from '../../test/kit/program.js'
import { trapUnhandled } from '../../test/kit/trap-unhandled.js'
import { askInEachWay } from './main.js'

trapUnhandled()
const own = owner()

it('takes TLS off the server, and leads clients there', async () => {
  const { plain, http1, http2 } = await askInEachWay()
  expect(plain).toMatchObject({ version: '1.1', status: 308 })
  const url = plain.headers['location']
  expect(url).toMatch(/^https:\/\/localhost:\d+\/page\?x=1$/)
  for (const [answer, version] of [
    [http1, '1.1'],
    [http2, '2.0'],
  ] as const) {
    expect(answer).toMatchObject({ version, status: 200, body: url })
    expect(answer.headers['strict-transport-security']).toBe('max-age=31536000')
  }
})

it('prints what came and ends', async () => {
  const run = own(program([fileURLToPath(new URL('main.js', import.meta.url))]))
  expect(await run.ended).toBe(0)
  expect(
    run.output
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/\s+/).slice(0, 3)),
  ).toEqual([
    ['plain', 'HTTP/1.1', '308'],
    ['http1', 'HTTP/1.1', '200'],
    ['http2', 'HTTP/2.0', '200'],
  ])
})
