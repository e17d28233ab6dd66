import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { httpClient } from '../kit/client.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

const now = () => new Date().toUTCString()
const inAnHour = () => new Date(Date.now() + 3_600_000).toUTCString()
const hourAgo = () => new Date(Date.now() - 3_600_000).toUTCString()

/** A proxy that caches, before an origin that gives these fields with each answer, and the number of the request. */
async function cached(fields: readonly string[], cache: Record<string, unknown> | true = true) {
  let count = 0
  const origin = own(
    await originServer((_req, res) => {
      res.writeHead(200, [...fields, 'Origin-Count', String(++count)])
      res.end('ok')
    }),
  )
  const proxy = own(createProxy({ upstreams: { origin: origin.url }, cache }))
  const { port } = await proxy.listen()
  const client = own(httpClient({ port }))
  return { origin, client }
}

/** Asks twice, and tells whether the second answer was the first one again. */
async function isReused(fields: readonly string[], cache?: Record<string, unknown>): Promise<boolean> {
  const { origin, client } = await cached(fields, cache)
  const first = await client.ask()
  const second = await client.ask()
  expect([first.status, second.status, second.text]).toEqual([200, 200, 'ok'])
  expect(value(second.headers, 'origin-count')).toBe(String(origin.requests.length))
  return origin.requests.length === 1
}

/** An age that one of the two fields allows and the other doesn't. */
const aged = ['Age', '60']
const shortly = ['Cache-Control', 'max-age=1']
const long = ['Cache-Control', 'max-age=3600']

describe('an answer with CDN-Cache-Control (RFC 9213) is reused', () => {
  it.each<[string, () => readonly string[]]>([
    ['for its max-age', () => ['CDN-Cache-Control', 'max-age=3600']],
    ['for a max-age of 2 ** 31', () => ['CDN-Cache-Control', 'max-age=2147483648']],
    ['for a max-age of more than 32 bits', () => ['CDN-Cache-Control', 'max-age=99999999999']],
    ['beside directives that nobody knows', () => ['CDN-Cache-Control', 'foobar, max-age=3600']],
    ['with parameters, which mean nothing', () => ['CDN-Cache-Control', 'max-age=3600;foo=bar']],
    ['in two lines', () => ['CDN-Cache-Control', 'foobar', 'CDN-Cache-Control', 'max-age=3600']],
    ['for the last max-age of two', () => ['CDN-Cache-Control', 'max-age=1, max-age=3600', ...aged]],
    ['whatever a past Expires says', () => ['CDN-Cache-Control', 'max-age=3600', 'Expires', hourAgo()]],
    ['whatever an invalid Expires says', () => ['CDN-Cache-Control', 'max-age=3600', 'Expires', '0']],
    ['longer than max-age allows', () => [...shortly, 'CDN-Cache-Control', 'max-age=3600', ...aged]],
    [
      'longer than s-maxage allows',
      () => [...['Cache-Control', 's-maxage=1', 'CDN-Cache-Control', 'max-age=3600'], ...aged],
    ],
    ['whatever no-store says', () => ['Cache-Control', 'no-store', 'CDN-Cache-Control', 'max-age=3600']],
    ['whatever private says', () => ['Cache-Control', 'private', 'CDN-Cache-Control', 'max-age=3600']],
    ['whatever no-cache says', () => ['Cache-Control', 'no-cache', 'CDN-Cache-Control', 'max-age=3600']],
  ])('%s', async (_, fields) => {
    expect(await isReused(['Date', now(), ...fields()])).toBe(true)
  })
})

describe('an answer with CDN-Cache-Control (RFC 9213) is asked for again', () => {
  it.each<[string, () => readonly string[]]>([
    ['once its max-age is over', () => ['CDN-Cache-Control', 'max-age=3600', 'Age', '7200']],
    ['after max-age=0', () => ['CDN-Cache-Control', 'max-age=0']],
    [
      'after max-age=0, whatever Expires says',
      () => ['CDN-Cache-Control', 'max-age=0', 'Expires', inAnHour()],
    ],
    ['sooner than Cache-Control asks', () => [...long, 'CDN-Cache-Control', 'max-age=1', ...aged]],
    ['with private', () => [...long, 'CDN-Cache-Control', 'private', 'Expires', inAnHour()]],
    ['with no-cache', () => [...long, 'CDN-Cache-Control', 'no-cache', 'Expires', inAnHour()]],
    ['with no-store', () => [...long, 'CDN-Cache-Control', 'no-store', 'Expires', inAnHour()]],
    ['with no lifetime, whatever Cache-Control says', () => [...long, 'CDN-Cache-Control', 'foobar']],
    [
      'with a max-age that is a string',
      () => [...['Cache-Control', 'no-store', 'CDN-Cache-Control', 'max-age="3600"']],
    ],
    [
      'with a max-age that is a decimal',
      () => [...['Cache-Control', 'no-store', 'CDN-Cache-Control', 'max-age=3600.5']],
    ],
    ['with a max-age below 0', () => ['CDN-Cache-Control', 'max-age=-3600']],
  ])('%s', async (_, fields) => {
    expect(await isReused(['Date', now(), ...fields()])).toBe(false)
  })
})

describe('a CDN-Cache-Control that is no structured field is passed over, whole', () => {
  it.each([
    ['a space before the sign', 'max-age =3600'],
    ['a space after the sign', 'max-age= 3600'],
    ['a name with capitals', 'MaX-aGe=3600'],
    ['a member that is nothing', 'max-age=3600, &&&&&'],
    ['a comma at its end', 'max-age=3600,'],
    ['nothing in it', ''],
  ])('%s', async (_, targeted) => {
    // Cache-Control speaks then: once against keeping the answer, once for it.
    expect(await isReused(['CDN-Cache-Control', targeted, ...shortly, ...aged])).toBe(false)
    expect(await isReused(['CDN-Cache-Control', targeted, ...long, ...aged])).toBe(true)
  })
})

describe('what goes out of an answer with CDN-Cache-Control', () => {
  const fields = () => [
    'Date',
    hourAgo(),
    ...shortly,
    'CDN-Cache-Control',
    'max-age=7200',
    'Expires',
    inAnHour(),
  ]

  it('is as it came, but for Age', async () => {
    const sent = fields()
    const { client } = await cached(sent)
    for (const ask of ['first', 'second']) {
      const { headers } = await client.ask()
      for (const name of ['Date', 'Cache-Control', 'CDN-Cache-Control', 'Expires'])
        expect(values(headers, name), `${name} of the ${ask}`).toEqual(values(sent, name))
    }
  })

  it('has an Age above what Cache-Control allows, so that nobody behind keeps it for too long', async () => {
    const { client } = await cached(fields())
    await client.ask()
    expect(Number(value((await client.ask()).headers, 'age'))).toBeGreaterThanOrEqual(3600)
  })
})

describe('fields that are obeyed', () => {
  const both = ['Mine-Cache-Control', 'max-age=1', 'CDN-Cache-Control', 'max-age=3600', ...aged]

  it('go in the order of the option', async () => {
    expect(await isReused(both, { targeted: ['mine-cache-control', 'cdn-cache-control'] })).toBe(false)
    expect(await isReused(both, { targeted: ['cdn-cache-control', 'mine-cache-control'] })).toBe(true)
  })

  it('leave the next one to speak where they can not be read', async () => {
    const fields = ['Mine-Cache-Control', '&&&', 'CDN-Cache-Control', 'max-age=3600']
    expect(await isReused(fields, { targeted: ['mine-cache-control', 'cdn-cache-control'] })).toBe(true)
  })

  it('are none where the option says so', async () => {
    expect(await isReused(['CDN-Cache-Control', 'max-age=3600'], { targeted: [] })).toBe(false)
    expect(await isReused(['CDN-Cache-Control', 'no-store', ...long], { targeted: [] })).toBe(true)
  })
})
