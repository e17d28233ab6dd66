import { createPrivateKey } from 'node:crypto'
import { expect, it } from 'vitest'
import { fakeAuthority } from '../../../test/kit/fake-authority.js'
import { handTimers } from '../../../test/kit/hand-timers.js'
import { memoryAcmeStorage } from '../../../test/kit/memory-acme-storage.js'
import { AccountKeeper, pemOf } from './account-keeper.js'
import type { AcmeClientOptions } from './acme-client-options.js'
import { resolveAcme } from './acme-options.js'
import { BoundedStorage } from './bounded-storage.js'
import { generateKey } from './generate-key.js'
import { managerSeams } from './manager-seams.js'
import { Records } from './records.js'

/** Processes that share a storage, and the keys and closings of their clients. */
function rig(rollover: () => Promise<void> = async () => {}) {
  const timers = handTimers()
  const storage = memoryAcmeStorage(Date.now)
  const fake = fakeAuthority(Date.now).client()
  const keys: string[] = []
  let closed = 0
  const seams = managerSeams({
    after: timers.after,
    client: ({ accountKey }: AcmeClientOptions) => {
      keys.push(pemOf(accountKey))
      return { ...fake, rollover, close: async () => void closed++ }
    },
  })
  const settings = resolveAcme({ domains: ['a.test'], agreeToTerms: true, storage }, '')
  return {
    timers,
    keys,
    get closed() {
      return closed
    },
    store: (value: object) => storage.values.set('ca/account', JSON.stringify(value)),
    stored: () => JSON.parse(storage.values.get('ca/account') ?? '{}'),
    lock: () => storage.lock('ca/account', 1_000),
    keeper: () =>
      new AccountKeeper(
        settings,
        new Records(new BoundedStorage(storage, 'ca/', seams.after), () => {}),
        seams,
      ),
  }
}

it('gives another key to an account that nobody has used yet', async () => {
  const one = rig()
  await one.keeper().rollover()
  expect(one.keys).toHaveLength(1)
  expect(Object.keys(one.stored())).toEqual(['key'])
  expect(one.stored().key).not.toBe(one.keys[0])
})

it('takes no key that the authority has not heard of while another is at it', async () => {
  let done = (): void => {}
  const asked = new Promise<void>((resolve) => {
    done = resolve
  })
  let begun = (): void => {}
  const began = new Promise<void>((resolve) => {
    begun = resolve
  })
  const one = rig(() => {
    begun()
    return asked
  })
  const key = pemOf(await generateKey('ecdsa'))
  one.store({ key })
  const keeper = one.keeper()
  const rolled = keeper.rollover()
  await began
  // Another process, and an order of this one.
  let open = 2
  const others = [one.keeper(), keeper].map((each) => each.client().finally(() => open--))
  await one.timers.fire(250)
  expect(one.keys).toEqual([key])
  expect(one.closed).toBe(0)
  done()
  await rolled
  while (open > 0)
    if (one.timers.waits.includes(250)) await one.timers.fire(250)
    else await new Promise((resolve) => setImmediate(resolve))
  await Promise.all(others)
  const { key: next } = one.stored()
  expect(one.keys).toEqual([key, next])
})

it('takes the next key of a change that was left in the middle, for good', async () => {
  const one = rig()
  const [key, next] = [pemOf(await generateKey('ecdsa')), pemOf(await generateKey('ecdsa'))]
  one.store({ key, next })
  await one.keeper().client()
  expect(one.keys).toEqual([next])
  expect(one.stored()).toEqual({ key: next })
  expect(createPrivateKey(next).type).toBe('private')
})
