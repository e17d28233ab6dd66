import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, type Server } from 'node:tls'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { type TlsVisit, tlsVisit } from '../../../test/kit/tls-visit.js'
import { type X509Pair, x509SelfSigned } from '../../../test/kit/x509.js'
import { type TicketKeys, type TicketKeysOptions, ticketKeys } from './ticket-keys.js'

const hour = 3_600_000
const secret = 'at least thirty-two bytes of secret'
let pair: X509Pair
beforeAll(async () => {
  pair = await x509SelfSigned({ names: ['own.test'] })
})

const open: (() => void)[] = []
afterEach(() => {
  for (const end of open.splice(0)) end()
  vi.useRealTimers()
})

interface Serving {
  readonly server: Server
  readonly port: number
  readonly attached: Disposable
  readonly errors: Error[]
}

/** @param change what to do to the server before the keys are attached */
async function serve(keys: TicketKeys, change?: (server: Server) => void): Promise<Serving> {
  const server = createServer({ cert: pair.cert, key: pair.key, sessionIdContext: 'test' }, (socket) => {
    socket.on('error', () => {})
    socket.end('served')
  })
  const errors: Error[] = []
  server.on('tlsClientError', (error) => errors.push(error))
  change?.(server)
  const attached = keys.attach(server)
  server.listen(0, '127.0.0.1')
  open.push(() => {
    attached[Symbol.dispose]()
    server.close()
  })
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port, attached, errors }
}

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('ticketKeys() over %s', (maxVersion) => {
  const visit = ({ port }: Serving, before?: TlsVisit): Promise<TlsVisit> =>
    tlsVisit(port, {
      servername: 'own.test',
      ca: pair.cert,
      maxVersion,
      ...(before === undefined ? {} : { session: before.session as Buffer }),
    })

  it('let two servers that share a secret resume the sessions of each other', async () => {
    const [one, other] = [await serve(ticketKeys({ secret })), await serve(ticketKeys({ secret }))]
    expect(await visit(other, await visit(one))).toMatchObject({ resumed: true, text: 'served' })
    expect(await visit(one, await visit(other))).toMatchObject({ resumed: true, text: 'served' })
  })

  it('give a new ticket where the key of the old one seals no more, and only there', async () => {
    let now = 0
    const serving = await serve(ticketKeys({ rotate: '1h', clock: () => now }))
    const first = await visit(serving)
    const again = await visit(serving, first)
    expect(again.session === undefined || again.session.equals(first.session as Buffer)).toBe(true)
    now += hour
    const renewed = await visit(serving, first)
    expect(renewed.resumed).toBe(true)
    expect(renewed.session).not.toEqual(first.session)
  })

  it('open tickets over a rotation, and none whose time is over', async () => {
    let now = 0
    const keys = (): TicketKeys => ticketKeys({ secret, rotate: '1h', keep: 1, clock: () => now })
    const [one, other] = [await serve(keys()), await serve(keys())]
    const first = await visit(one)
    now += hour
    const second = await visit(other, first)
    expect(second.resumed).toBe(true)
    now += hour
    // It was renewed: what is old is the one from the beginning.
    expect(await visit(one, second)).toMatchObject({ resumed: true })
    expect(await visit(one, first)).toMatchObject({ resumed: false, text: 'served' })
    expect([...one.errors, ...other.errors]).toEqual([])
  })

  it('open tickets of a machine whose clock is a period ahead', async () => {
    const at = (now: number): TicketKeys => ticketKeys({ secret, rotate: '1h', keep: 0, clock: () => now })
    const [behind, ahead] = [await serve(at(hour - 1)), await serve(at(hour))]
    expect(await visit(behind, await visit(ahead))).toMatchObject({ resumed: true })
  })

  it('take a new secret with no break: it opens first, then seals, then the old one goes', async () => {
    const next = 'another one of thirty-two bytes, new'
    const stages = [secret, [secret, next], [next, secret], next]
    let before: TlsVisit | undefined
    for (const each of stages) {
      const visited: TlsVisit = await visit(await serve(ticketKeys({ secret: each })), before)
      expect(visited.resumed).toBe(before !== undefined)
      // Without another ticket it is still the one to come with.
      before = visited.session === undefined ? before : visited
    }
  })

  it('answer a ticket of others with a whole handshake', async () => {
    const [one, other] = [await serve(ticketKeys()), await serve(ticketKeys())]
    expect(await visit(other, await visit(one))).toMatchObject({ resumed: false, text: 'served' })
    expect(other.errors).toEqual([])
  })

  it('answer a ticket that was sealed under another policy with a whole handshake', async () => {
    const keys = ticketKeys({ secret })
    const [one, other] = [await serve(keys.bindTo('one')), await serve(keys.bindTo('other'))]
    const before = await visit(one)
    expect(await visit(other, before)).toMatchObject({ resumed: false, text: 'served' })
    expect(await visit(one, before)).toMatchObject({ resumed: true })
  })

  it('leave a server to itself when they are disposed', async () => {
    const serving = await serve(ticketKeys({ secret }))
    const before = await visit(serving)
    serving.attached[Symbol.dispose]()
    const after = await visit(serving, before)
    expect(after).toMatchObject({ resumed: false, text: 'served' })
    expect(await visit(serving, after)).toMatchObject({ resumed: true })
  })

  describe('where Node has no callback for tickets', () => {
    const hide = (server: Server): void => {
      const { context } = (server as unknown as { _sharedCreds: { context: object } })._sharedCreds
      Object.assign(context, { enableTicketKeyCallback: undefined })
    }

    it('hold one key at a time, shared and changed alike', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      let now = 0
      const options: TicketKeysOptions = { secret, rotate: '1h', clock: () => now }
      const [one, other] = [await serve(ticketKeys(options), hide), await serve(ticketKeys(options), hide)]
      const before = await visit(one)
      expect(await visit(other, before)).toMatchObject({ resumed: true })
      now += hour
      vi.advanceTimersByTime(hour)
      expect(await visit(other, before)).toMatchObject({ resumed: false, text: 'served' })
      expect(await visit(one, await visit(other))).toMatchObject({ resumed: true })
      for (const { attached } of [one, other]) attached[Symbol.dispose]()
      expect(vi.getTimerCount()).toBe(0)
    })
  })
})

describe('wrong options of ticketKeys()', () => {
  it.each<[unknown, string]>([
    [
      { secret: 'short' },
      'ticketKeys.secret: got a text, takes a secret of 32 bytes or more, or a list of them',
    ],
    [
      { secret: [] },
      'ticketKeys.secret: got an object, takes a secret of 32 bytes or more, or a list of them',
    ],
    [{ rotate: 0 }, 'ticketKeys.rotate: got 0, takes more than 0'],
    [{ keep: -1 }, 'ticketKeys.keep: got -1, takes a whole number from 0 to 100'],
    [{ rotation: '1h' }, 'ticketKeys.rotation: unknown option, known are secret, rotate, keep, clock'],
  ])('%j', (options, message) => {
    expect(() => ticketKeys(options as TicketKeysOptions)).toThrow(new TypeError(message))
  })
})
