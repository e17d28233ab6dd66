import { describe, expect, it } from 'vitest'
import { StalledReaders } from './stalled-readers.js'

function readers() {
  const clock = { time: 1_000 }
  return { clock, readers: new StalledReaders(() => clock.time) }
}

describe('many whose clients take nothing', () => {
  it('are 16 that have waited for a quarter of a second', () => {
    const { clock, readers: all } = readers()
    for (let i = 0; i < 16; i++) all.begin()
    clock.time += 249
    expect(all.many).toBe(false)
    clock.time++
    expect(all.many).toBe(true)
  })

  it('are not fewer, however long they wait', () => {
    const { clock, readers: all } = readers()
    for (let i = 0; i < 15; i++) all.begin()
    clock.time += 60_000
    expect(all.many).toBe(false)
  })

  it('are not more that have only just begun', () => {
    const { clock, readers: all } = readers()
    for (let i = 0; i < 15; i++) all.begin()
    clock.time += 60_000
    for (let i = 0; i < 100; i++) all.begin()
    expect(all.many).toBe(false)
  })

  it('are not many any more once they have read, or left, in any order', () => {
    const { clock, readers: all } = readers()
    const stalls = Array.from({ length: 17 }, () => all.begin())
    clock.time += 250
    all.end(stalls[9] as (typeof stalls)[0])
    expect(all.many).toBe(true)
    all.end(stalls[0] as (typeof stalls)[0])
    expect(all.many).toBe(false)
  })
})

it('tells who has read from who has only been been passed on to the system, a moment later', () => {
  const { clock, readers: all } = readers()
  const passed = all.begin()
  const read = all.begin()
  clock.time += 19
  expect(all.end(passed)).toBe(false)
  clock.time++
  expect(all.end(read)).toBe(true)
})
