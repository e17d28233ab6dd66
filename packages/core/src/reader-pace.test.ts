import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { expect, it } from 'vitest'
import { ReaderPace } from './reader-pace.js'
import { StalledReaders } from './stalled-readers.js'

const kilobyte = 1024
const megabyte = 1024 * kilobyte

class Response extends EventEmitter {
  writableLength = 0

  write(): boolean {
    return false
  }
}

/** Readers of whom so many have taken nothing for long, and an answer to another. */
function rig(stalled: number) {
  const clock = { time: 0 }
  const readers = new StalledReaders(() => clock.time)
  for (let i = 0; i < stalled; i++) readers.begin()
  clock.time = 1_000
  // As Node's of version 20, which asks to wait after each part of 16 KB.
  const res = new Response()
  let drains = 0
  const part = Buffer.alloc(0)
  const pace = new ReaderPace(res as unknown as ServerResponse, false, () => drains++, readers)
  return {
    clock,
    readers,
    res,
    pace,
    drains: () => drains,
    /** Writes a part of an answer of which so much has been sent. */
    room: (sent: number) => pace.write(part, undefined, sent),
  }
}

it('lets much wait for anybody while most read', () => {
  const { pace, res, room } = rig(15)
  res.writableLength = 127 * kilobyte
  expect(room(127 * kilobyte)).toBe(true)
  expect(pace.partAtMost(127 * kilobyte)).toBe(Number.POSITIVE_INFINITY)
  res.writableLength = 128 * kilobyte
  expect(room(128 * kilobyte)).toBe(false)
})

it('lets one small part wait for somebody unknown while many take nothing', () => {
  const { pace, res, room } = rig(16)
  expect(pace.partAtMost(0)).toBe(16 * kilobyte)
  // What the system takes on the spot doesn't wait.
  expect(room(64 * kilobyte)).toBe(true)
  res.writableLength = 1
  expect(room(64 * kilobyte)).toBe(false)
})

it('gives large parts to who has had more than the systems hold of one', () => {
  const { pace, res, room } = rig(16)
  res.writableLength = 64 * kilobyte
  expect(room(8 * megabyte - 1)).toBe(false)
  expect(room(8 * megabyte)).toBe(true)
  expect(pace.partAtMost(8 * megabyte)).toBe(Number.POSITIVE_INFINITY)
})

it('gives large parts to who has read what waited, and not to whom it only went on to the system', () => {
  const { clock, drains, pace, res, room } = rig(16)
  res.writableLength = 16 * kilobyte
  expect(room(16 * kilobyte)).toBe(false)
  res.emit('drain')
  expect([drains(), pace.partAtMost(16 * kilobyte)]).toEqual([1, 16 * kilobyte])
  expect(room(32 * kilobyte)).toBe(false)
  clock.time += 20
  res.emit('drain')
  expect([drains(), pace.partAtMost(32 * kilobyte)]).toEqual([2, Number.POSITIVE_INFINITY])
  expect(room(96 * kilobyte)).toBe(true)
})

it('counts as one that takes nothing until it reads or leaves', () => {
  const { clock, pace, readers, res, room } = rig(15)
  res.writableLength = megabyte
  for (let i = 0; i < 5; i++) expect(room(megabyte)).toBe(false)
  clock.time += 1_000
  expect(readers.many).toBe(true)
  res.emit('drain')
  expect(readers.many).toBe(false)
  expect(room(2 * megabyte)).toBe(false)
  clock.time += 1_000
  expect(readers.many).toBe(true)
  pace.closed()
  expect(readers.many).toBe(false)
})

it('counts for nothing once it has closed, whoever writes on', () => {
  const { clock, pace, readers, res, room } = rig(15)
  pace.closed()
  res.writableLength = megabyte
  expect(room(megabyte)).toBe(false)
  clock.time += 1_000
  expect(readers.many).toBe(false)
})
