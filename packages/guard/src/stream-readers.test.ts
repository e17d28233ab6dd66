import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { goneOf, type Lack, newReader, type Reader, StreamReaders } from './stream-readers.js'

const rate = 240
const grace = 60_000
const second = 1_000

/** A stream, and what waits in it: by default more than will ever go, all of it given to Node. */
interface Stream {
  reader: Reader
  waiting: number
  flight: number
}

function stream(waiting = 100_000, flight = waiting): Stream {
  return { reader: newReader(), waiting, flight }
}

/** A connection that is looked at once a second. */
function connection(minRate = rate) {
  const readers = new StreamReaders(minRate, grace)
  let bytes = 0
  let seconds = -1
  const look = (lack: Lack, streams: Stream[], sent = 0): Stream[] => {
    bytes += sent
    seconds++
    readers.look(lack, bytes, second)
    return streams.filter((each) => readers.isLate(each.reader, each.waiting, each.flight))
  }
  return {
    readers,
    look,
    /** Since the first look. */
    get seconds() {
      return seconds
    },
    /** Looks until one is late. @returns after how many seconds that is */
    until: (step: (second: number) => Stream[], most = 10_000): number => {
      while (seconds < most) if (step(seconds + 1).length > 0) return seconds
      return Number.POSITIVE_INFINITY
    },
  }
}

/** A stream of which a part has gone: what is left is given to Node anew. */
function move(each: Stream): void {
  each.waiting -= each.flight
  each.flight = each.waiting
}

describe('goneOf', () => {
  const waited: Reader = { waiting: 1_000, flight: 300, stood: 0, since: 0 }

  it.each([
    ['nothing', 1_000, 300, 0],
    ['nothing, with more behind it', 2_000, 300, 0],
    ['a part', 700, 300, 300],
    ['a part, with more behind it', 5_000, 4_700, 300],
    ['all', 0, 0, 1_000],
  ])('tells that %s has gone', (_what, waiting, flight, gone) => {
    expect(goneOf(waited, waiting, flight)).toBe(gone)
  })

  it('counts nothing anew of what has all gone, nor of a stream in which nothing waited', () => {
    expect(goneOf({ ...waited, waiting: Number.POSITIVE_INFINITY }, 10, 10)).toBe(0)
    expect(goneOf(newReader(), 10, 10)).toBe(0)
  })
})

describe('StreamReaders', () => {
  describe('a client that is to be cut', () => {
    it('gives its connection no room', () => {
      const all = [stream(), stream(), stream()]
      const { look, until } = connection()
      expect(until(() => look('connection', all))).toBe(60)
    })

    it('has all of its streams cut that wait, and no other', () => {
      const all = [stream(), stream(), stream()]
      const { look } = connection()
      for (let i = 0; i < 60; i++) expect(look('connection', all)).toEqual([])
      const late = stream()
      expect(look('connection', [...all, late, stream(0)])).toEqual([...all, late])
    })

    it('gives a stream no room', () => {
      const stands = stream()
      const fast = stream()
      const { look, until } = connection()
      const at = until(() => {
        fast.flight++
        return look('stream', [stands, fast], 20_000)
      })
      expect(at).toBe(60)
    })

    it('takes a byte a minute, of a stream or of the connection', () => {
      for (const lack of ['stream', 'connection'] as const) {
        const { look, until } = connection()
        const stands = stream()
        // Nine bytes of its frame, too. Of the stream nothing is seen to go.
        expect(until((at) => look(lack, [stands], at % 60 === 59 ? 10 : 0))).toBe(lack === 'stream' ? 60 : 61)
      }
    })

    it('changes between the two, however it does', () => {
      const lacks = fc.array(fc.constantFrom<Lack>('connection', 'stream'), { minLength: 61, maxLength: 61 })
      fc.assert(
        fc.property(lacks, (order) => {
          const stands = stream()
          const { look, until } = connection()
          expect(until((at) => look(order[at] as Lack, [stands]))).toBe(60)
        }),
      )
    })

    it('changes between the two, and takes a byte at each change', () => {
      const { look, until } = connection()
      const stands = stream()
      const at = until((now) => look(now % 2 === 0 ? 'connection' : 'stream', [stands], 10))
      // As far as its bytes go.
      expect(at).toBeLessThanOrEqual(64)
    })

    it('has other small streams now and then, and takes those', () => {
      for (const lack of ['stream', 'connection'] as const) {
        const stands = stream()
        const { look, until } = connection()
        const at = until((now) => {
          const small = now % 10 === 0 ? [stream(5)] : []
          return look(lack, [stands, ...small], small.length * 14)
        })
        expect(at).toBeLessThanOrEqual(61)
      }
    })

    it('resets what waits before its time is over, and asks for it again', () => {
      const { look } = connection()
      for (let i = 0; i < 55; i++) expect(look('connection', [stream()])).toEqual([])
      for (let i = 0; i < 1_000; i++) expect(look('nothing', [stream(0)])).toEqual([])
      const again = stream()
      for (let i = 0; i < 6; i++) expect(look('connection', [again])).toEqual([])
      expect(look('connection', [again])).toEqual([again])
    })

    it('has a little more written behind what stands', () => {
      for (const lack of ['stream', 'connection'] as const) {
        const stands = stream(1_000)
        const { look, until } = connection()
        const at = until(() => {
          stands.waiting++
          return look(lack, [stands])
        })
        expect(at).toBe(60)
      }
    })

    it('has the system take nothing in between, which only holds its time', () => {
      const stands = stream()
      const { look, until } = connection()
      // The look after that only begins anew.
      const at = until((now) => look(now % 10 === 9 ? 'system' : 'stream', [stands]))
      expect(at).toBeLessThanOrEqual(60 + 2 * 8)
    })

    it('is slower than the rate, by however little', () => {
      const { look, until } = connection()
      const all = [stream(), stream()]
      const at = until(() => look('connection', all, 230))
      // But for the last bits of so many fractions.
      expect([60 * 24, 60 * 24 + 1]).toContain(at)
    })

    it('takes nothing, where any byte would do', () => {
      const { look, until } = connection(0)
      expect(until((now) => look('connection', [stream()], now === 30 ? 1 : 0))).toBe(90)
    })
  })

  describe('a client that is let be', () => {
    it('reads 50 answers in turn over a slow line', () => {
      const all = Array.from({ length: 50 }, () => stream(100_000, 64_000))
      const left = new Map(all.map((each) => [each, 64_000]))
      const client = connection()
      const { look } = client
      let turn = 0
      let arrived = 0
      while (all.some(({ waiting }) => waiting > 0)) {
        // 20 KB a second arrive. Node's client makes room by half a window.
        arrived += 20_000
        let room = 0
        for (; arrived >= 32_768; arrived -= 32_768) room += 32_768
        const sent = room
        while (room > 0 && all.some(({ waiting }) => waiting > 0)) {
          const next = all[turn++ % all.length] as Stream
          if (next.waiting === 0) continue
          const part = Math.min(16_384, room, left.get(next) as number)
          room -= part
          left.set(next, (left.get(next) as number) - part)
          if (left.get(next) === 0) {
            move(next)
            left.set(next, next.flight)
          }
        }
        const waits = all.filter(({ waiting }) => waiting > 0)
        expect(look(waits.length > 0 ? 'connection' : 'nothing', all, sent)).toEqual([])
      }
      // Most have stood for longer than the grace.
      expect(client.seconds).toBeGreaterThan(200)
    })

    it('reads one stream slowly beside fast ones, whichever has no room', () => {
      for (const beside of ['stream', 'connection'] as const) {
        const slowly = stream(64_000 * 1_000, 64_000)
        const fast = stream(100_000, 50_000)
        const { look } = connection()
        for (let i = 1; i <= 3_600; i++) {
          if (i % 50 === 0) slowly.waiting -= 64_000
          fast.flight = 50_000 + (i % 2)
          expect(look(i % 3 === 0 ? 'stream' : beside, [slowly, fast], 20_000)).toEqual([])
        }
      }
    })

    it('has a long download at just above the rate, in steps of less than the grace', () => {
      const { look } = connection()
      const all = [stream(10_000_000)]
      for (let i = 1; i <= 4 * 3_600; i++)
        expect(look('connection', all, i % 50 === 0 ? 50 * 241 : 0)).toEqual([])
    })

    it('waits for its turn while another stream takes all for an hour', () => {
      const { look } = connection()
      const waits = stream()
      for (let i = 1; i <= 3_600; i++) expect(look('connection', [waits, stream()], 20_000)).toEqual([])
      // It is at the beginning of its own time.
      for (let i = 1; i < 60; i++) expect(look('stream', [waits], 20_000)).toEqual([])
      expect(look('stream', [waits], 20_000)).toEqual([waits])
    })

    it('has events come now and then, and nothing to take between them', () => {
      const { look, readers } = connection()
      const events = stream(0)
      for (let i = 0; i < 4 * 3_600; i++) {
        events.waiting = i % 60 === 0 ? 100 : 0
        events.flight = events.waiting
        expect(look(events.waiting > 0 ? 'connection' : 'nothing', [events], events.waiting)).toEqual([])
      }
      expect(readers.counts).toBe(false)
    })

    it('takes all that waits before each look, however alike it is at the next', () => {
      const { look } = connection()
      const fast = stream(64_000)
      for (let i = 0; i < 1_000; i++) {
        expect(look('stream', [fast], 64_000)).toEqual([])
        fast.reader.waiting = Number.POSITIVE_INFINITY
      }
    })

    it('reads what the system has: its connection is looked at elsewhere', () => {
      const { look } = connection()
      const waits = stream()
      for (let i = 0; i < 1_000; i++) expect(look('system', [waits])).toEqual([])
    })

    it('takes any byte, where any will do', () => {
      const { look } = connection(0)
      for (let i = 1; i <= 3_600; i++)
        expect(look('connection', [stream()], i % 59 === 0 ? 1 : 0)).toEqual([])
    })

    it('has a new stream while its connection is behind, of which Node has nothing yet', () => {
      const { look } = connection()
      for (let i = 0; i < 60; i++) look('connection', [stream()])
      expect(look('stream', [stream(10, 0)])).toEqual([])
    })

    it('has been cut, and asks again: what comes then has all its time', () => {
      const client = connection()
      const { look } = client
      for (let i = 0; i < 60; i++) look('connection', [stream()])
      expect(look('connection', [stream()])).toHaveLength(1)
      const begun = client.seconds
      const again = stream()
      expect(client.until(() => look('connection', [again])) - begun).toBe(60)
    })
  })

  it('ends nobody who has had less than the grace, whatever came before', () => {
    const step = fc.record({
      lack: fc.constantFrom<Lack>('nothing', 'system', 'connection', 'stream'),
      sent: fc.oneof(fc.constant(0), fc.nat(20_000)),
      moves: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const { look } = connection()
        const one = stream(1e9, 1_000)
        // Seconds in which it waited for its client; and those of its connection, as far as bytes haven't brought them back.
        let stood = 0
        let behind = 0
        for (const { lack, moves, sent } of steps) {
          if (moves) one.flight = one.flight === 1_000 ? 1_001 : 1_000
          stood = moves || lack === 'nothing' ? 0 : stood + 1
          behind = Math.max(0, behind + (lack === 'connection' ? 1 : 0) - sent / rate)
          one.waiting = lack === 'nothing' ? 0 : 1e9
          const late = look(lack, [one], sent).length > 0
          if (stood < 60 && behind < 60) expect(late).toBe(false)
          if (late) return
        }
      }),
    )
  })
})
