import { describe, expect, it } from 'vitest'
import { acmeRig, refused } from '../../../test/kit/acme-rig.js'
import { handTimers } from '../../../test/kit/hand-timers.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until } from '../../../test/kit/until.js'
import { AcmeClient, type AcmeClientOptions, certificateRequest, generateKey } from './index.js'

trapUnhandled()
const own = owner()
const { met } = acmeRig(own, AcmeClient)

describe('an order', () => {
  async function readyOrder() {
    const rig = await met()
    const { url, authorizations } = await rig.client.newOrder(['a.test'])
    const { challenges } = await rig.client.authorization(authorizations[0] ?? '')
    for (const challenge of challenges) await rig.client.begin(challenge)
    const handedIn = () => rig.server.requests.filter(({ step }) => step === 'finalize').length
    const csr = await certificateRequest(['a.test'], await generateKey('ecdsa'))
    return { ...rig, order: await rig.client.order(url), csr, handedIn }
  }

  it('that is not yet ready is waited for, and then handed in', async () => {
    const { client, order, csr, handedIn } = await readyOrder()
    expect(await client.finalize({ ...order, status: 'pending' }, csr)).toMatchObject({ status: 'valid' })
    expect(handedIn()).toBe(1)
  })

  it('that was handed in before is waited for alone', async () => {
    const { client, order, csr, handedIn } = await readyOrder()
    const valid = await client.finalize(order, csr)
    expect(await client.finalize({ ...order, status: 'processing' }, csr)).toEqual(valid)
    expect(await client.finalize(valid, csr)).toEqual(valid)
    expect(handedIn()).toBe(1)
  })
})

describe('what takes its time', () => {
  async function processing(headers: Record<string, string> = {}, options: Partial<AcmeClientOptions> = {}) {
    const timers = handTimers()
    const rig = await met(options, { after: timers.after, now: () => Date.parse('2030-01-01T00:00:00Z') })
    rig.server.at('order', (reply) => ({
      ...reply,
      headers: { ...reply.headers, ...headers },
      body: { ...reply.body, status: reply.body.status === 'valid' ? 'processing' : reply.body.status },
    }))
    const order = await rig.client.newOrder(['a.test'])
    const {
      challenges: [challenge],
    } = await rig.client.authorization(order.authorizations[0] ?? '')
    if (challenge !== undefined) await rig.client.begin(challenge)
    const csr = await certificateRequest(['a.test'], await generateKey('ecdsa'))
    const done = rig.client.finalize(await rig.client.order(order.url), csr)
    done.catch(() => {})
    const waits: number[] = []
    const waiting = () => until(() => timers.waits.some((ms) => ms !== 30_000), 'a wait')
    const wait = async (): Promise<void> => {
      await waiting()
      const ms = timers.waits.find((each) => each !== 30_000)
      waits.push(await timers.fire(ms))
    }
    const end = async (): Promise<void> => {
      await waiting()
      rig.server.at('order')
      await wait()
    }
    return { ...rig, timers, done, wait, waits, end }
  }

  it('is looked at less and less often', async () => {
    const { done, wait, waits, end } = await processing()
    for (let i = 0; i < 8; i++) await wait()
    expect(waits).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000])
    await end()
    expect(await done).toMatchObject({ status: 'valid' })
  })

  it('for ever is left after the patience that was given', async () => {
    const { done, wait } = await processing({}, { patience: '1s' })
    for (let i = 0; i < 3; i++) await wait()
    expect(await refused(done)).toMatchObject({ code: 'unsettled', phase: 'finalize' })
  })

  it('is looked at when the server says', async () => {
    const { wait, waits, done, end } = await processing({ 'retry-after': '3' })
    await wait()
    await wait()
    expect(waits).toEqual([3_000, 3_000])
    await end()
    await done
  })

  // ZeroSSL says a day of what is valid within seconds.
  it.each([
    ['a day', '86400'],
    ['a year, as a date', 'Wed, 01 Jan 2031 00:00:00 GMT'],
    ['much more', '9999999999'],
  ])('is looked at each 20 s where Retry-After is %s', async (_, field) => {
    const { wait, waits, done, end } = await processing({ 'retry-after': field })
    await wait()
    await wait()
    expect(waits).toEqual([20_000, 20_000])
    await end()
    expect(await done).toMatchObject({ status: 'valid' })
  })

  it('for ever is left after the patience, and says nothing of when an order may be made again', async () => {
    const { done, wait } = await processing({ 'retry-after': '86400' }, { patience: '1m' })
    for (let i = 0; i < 3; i++) await wait()
    expect(await refused(done)).toMatchObject({ code: 'unsettled', retryAfterMs: undefined })
  })

  it.each(['0', '-5', 'soon', '1e9', 'Mon, 01 Jan 2001 00:00:00 GMT', '99999999999'])(
    'is looked at as without any where Retry-After is %s',
    async (field) => {
      const { wait, waits, done, end } = await processing({ 'retry-after': field })
      await wait()
      expect(waits).toEqual([100])
      await end()
      await done
    },
  )

  it('is left when the client is closed in the meantime', async () => {
    const { client, timers, done } = await processing()
    await until(() => timers.waits.includes(100), 'a wait')
    await client.close()
    expect(await refused(done)).toMatchObject({ code: 'aborted' })
    expect(timers.waits).toEqual([])
  })
})
