import { describe, expect, it } from 'vitest'
import { StalledReaders } from './stalled-readers.js'

function readers() {
  const clock = { time: 1_000 }
  return { clock, readers: new StalledReaders(() => clock.time) }
}

describe('many whose clients take nothing', () => {
  it('are 32 that have waited for a quarter of a second', () => {
    const { clock, readers: all } = readers()
    for (let i = 0; i < 32; i++) all.begin()
    clock.time += 249
    expect(all.many).toBe(false)
    clock.time++
    expect(all.many).toBe(true)
  })

  it('are not fewer, however long they wait', () => {
    const { clock, readers: all } = readers()
    for (let i = 0; i < 31; i++) all.begin()
    clock.time += 60_000
    expect(all.many).toBe(false)
  })

  it('are not more that have only just begun', () => {
    const { clock, readers: all } = readers()
    for (let i = 0; i < 31; i++) all.begin()
    clock.time += 60_000
    for (let i = 0; i < 100; i++) all.begin()
    expect(all.many).toBe(false)
  })

  it('are not many any more once they have read, or left, in any order', () => {
    const { clock, readers: all } = readers()
    const stalls = Array.from({ length: 33 }, () => all.begin())
    clock.time += 250
    all.end(stalls[17] as (typeof stalls)[0])
    expect(all.many).toBe(true)
    all.end(stalls[0] as (typeof stalls)[0])
    expect(all.many).toBe(false)
  })
})

it('tells who has read from who has only been passed on to the system in the same turn', () => {
  const { clock, readers: all } = readers()
  expect(all.end(all.begin())).toBe(false)
  const stall = all.begin()
  clock.time++
  expect(all.end(stall)).toBe(true)
})
