import type { Reply } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { answered, CacheRig, fresh, settled } from '../../../test/kit/cache-rig.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import type { CacheOptions } from './cache-options.js'
import { createCache } from './create-cache.js'

trapUnhandled()
const own = owner()
const rig = (options?: CacheOptions) => own(new CacheRig(createCache, options))
const status = (reply: { of(name: string): string | undefined }) => reply.of('cache-status')

describe('two fetches of the same', () => {
  const reload = { headers: ['Cache-Control', 'no-cache'] }

  it('the one that began later is what stays, whichever ends first', async () => {
    const at = rig()
    const asked = [at.ask('/'), at.ask('/', reload), at.ask('/', reload)]
    await settled()
    at.calls[2]?.answer(200, fresh, 'newest')
    at.calls[1]?.answer(200, fresh, 'newer')
    at.calls[0]?.answer(200, fresh, 'old')
    const texts = await Promise.all(asked.map(async (reply) => (await answered(await reply)).text))
    expect(texts).toEqual(['old', 'newer', 'newest'])
    expect((await at.read('/')).text).toBe('newest')
  })

  it('also where the earlier one has begun to come', async () => {
    const at = rig()
    const early = at.ask('/')
    const body = (await at.call()).open(200)
    const reply = await early
    const late = at.ask('/', reload)
    ;(await at.call()).answer(200, fresh, 'new')
    await answered(await late)
    body.write('old')
    body.done()
    expect((await answered(reply)).text).toBe('old')
    expect((await at.read('/')).text).toBe('new')
  })

  it('also where a store is still at the earlier one', async () => {
    const at = rig()
    at.store.trouble.set('commit', 'hangs')
    const early = at.ask('/')
    ;(await at.call()).answer(200, fresh, 'old')
    await answered(await early)
    at.store.trouble.clear()
    const late = at.ask('/', reload)
    ;(await at.call()).answer(200, fresh, 'new')
    await answered(await late)
    for (const go of at.store.waiting) go()
    await settled()
    expect((await at.read('/')).text).toBe('new')
  })

  const part = { headers: ['Range', 'bytes=0-1'] }
  const ofPart = [...fresh, 'Content-Range', 'bytes 0-1/4']

  it('a part that was asked for before doesn’t take the place of a whole', async () => {
    const at = rig()
    const early = at.ask('/', part)
    const late = at.ask('/')
    await settled()
    at.calls[1]?.answer(200, fresh, 'whole')
    await answered(await late)
    at.calls[0]?.answer(206, ofPart, 'ol')
    expect((await answered(await early)).text).toBe('ol')
    expect((await at.read('/')).text).toBe('whole')
    expect(at.calls).toHaveLength(2)
  })

  it('also where the part has begun to come; that of another variant stays', async () => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: [...fresh, 'Vary', 'X-A'], body: 'zero' })
    await at.read('/', { headers: ['X-A', '0'] })
    at.origin = undefined
    const parts = ['1', '2'].map((value) => at.ask('/', { headers: ['X-A', value, ...part.headers] }))
    await settled()
    const bodies = [1, 2].map((i) => at.calls[i]?.open(206, [...ofPart, 'Vary', 'X-A']))
    const replies = await Promise.all(parts)
    const late = at.ask('/', { headers: ['X-A', '1'] })
    await settled()
    at.calls[3]?.answer(200, [...fresh, 'Vary', 'X-A'], 'whole')
    await answered(await late)
    for (const body of bodies) {
      body?.write('ol')
      body?.done()
    }
    for (const reply of replies) expect((await answered(reply)).text).toBe('ol')
    expect((await at.read('/', { headers: ['X-A', '1'] })).text).toBe('whole')
    expect((await at.read('/', { headers: ['X-A', '2', ...part.headers] })).text).toBe('ol')
    expect(at.calls).toHaveLength(4)
  })

  it('a later one that brings nothing leaves the earlier one alone', async () => {
    const at = rig()
    const early = at.ask('/')
    const late = at.ask('/', reload).catch(() => {})
    await settled()
    at.calls[1]?.fail(new Error('down'))
    await late
    at.calls[0]?.answer(200, fresh, 'old')
    await answered(await early)
    expect((await at.read('/')).text).toBe('old')
  })
})

describe('what is too large', () => {
  const large = 'x'.repeat(1000)

  it('is not stored, nor waited for, where its length is known', async () => {
    const at = rig({ maxEntry: 999 })
    at.origin = () => ({ status: 200, headers: fresh, body: large })
    expect(status(await at.read('/'))).toMatch(/detail=too-large/)
    expect(at.store.kept.size).toBe(0)
  })

  it('is found out on its way where not, and then nobody has to keep pace with others', async () => {
    const at = rig({ maxEntry: 999 })
    const open = async (reply: Promise<Reply>) => {
      const body = (await at.call()).open(200)
      const came = await reply
      body.write(large)
      body.done()
      return answered(came)
    }
    expect((await open(at.ask('/'))).text).toBe(large)
    expect(at.store.kept.size).toBe(0)
    for (let i = 0; i < 2; i++) {
      const [first, second] = [at.ask('/'), at.ask('/')]
      await settled()
      expect(at.calls).toHaveLength(3 + i * 2)
      expect(status(await open(first as Promise<Reply>))).toMatch(/detail=too-large/)
      await open(second as Promise<Reply>)
    }
    at.origin = () => ({ status: 200, headers: fresh, body: 'small' })
    await at.read('/')
    await at.read('/')
    expect(status(await at.read('/'))).toMatch(/hit/)
  })
})
