import { brotliDecompressSync } from 'node:zlib'
import { memoryStore } from '@sluice/cache'
import { BetterForms, encodeSync, Pressure } from '@sluice/compress'
import type { Variants } from '@sluice/core'
import { expect, it } from 'vitest'
import { seeded } from '../kit/seeded.js'
import { entryHead } from '../kit/store-entries.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()

const random = seeded(3)
const text = Buffer.from(Array.from({ length: 8_000 }, () => Math.floor(random() * 3_000)).join(' '))
const coded = encodeSync('br', text, { level: 1 })

/** A store with an entry that has a coded form, and what makes that better at the second hit. */
async function rig() {
  const store = memoryStore()
  const writer = store.put('k', entryHead())
  writer?.write(text)
  await writer?.commit()
  const variants = (): Variants => store.get('k')?.variants as Variants
  variants().put('br')?.end(coded)
  await until(() => variants().get('br') !== undefined, 'the first form')
  // Asked for often, an entry is kept as it is, which counts too.
  for (let i = 0; i < 5; i++) store.get('k')
  const better = new BetterForms(new Pressure((told) => told(0)), { hits: 2 })
  return { store, variants, hit: () => better.hit(variants(), 'br', text) }
}

it('the coded form of a hot object gets smaller in the store, and the store with it', async () => {
  const { store, variants, hit } = await rig()
  const before = store.bytes
  hit()
  hit()
  const form = await until(() => {
    const now = variants().get('br') as Buffer
    return now.length < coded.length && now
  }, 'a smaller form')
  expect(brotliDecompressSync(form).equals(text)).toBe(true)
  expect(store.bytes).toBe(before - coded.length + form.length)
  store.delete('k')
  expect(store.bytes).toBe(0)
})

it('of an object that goes meanwhile nothing is kept, and the next one has its turn', async () => {
  const first = await rig()
  first.hit()
  first.hit()
  first.store.delete('k')
  const second = await rig()
  await until(() => {
    second.hit()
    return (second.variants().get('br') as Buffer).length < coded.length
  }, 'a smaller form of the second')
  expect(first.store.bytes).toBe(0)
})
