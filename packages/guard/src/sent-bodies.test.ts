import { describe, expect, it } from 'vitest'
import { SentBodies } from './sent-bodies.js'

const window = 65_535
/** Most of what Node sends with an answer, and more than that on the wire. */
const sentHeaders = { ':status': 200, date: 'Sat, 28 Nov 2026 00:00:00 GMT', 'content-type': 'text/html' }

describe('SentBodies', () => {
  it('counts what is written', () => {
    const sent = new SentBodies()
    expect(sent.sum(1_000, 0, window)).toBe(1_000)
    expect(sent.sum(1_000, 0, window)).toBe(1_000)
    expect(sent.sum(21_000, 0, window)).toBe(21_000)
  })

  it('takes all but bodies for none', () => {
    const sent = new SentBodies()
    let written = 0
    let known = 0
    const heads = {
      sentInfoHeaders: [{ ':status': 103, link: ['</a>', '</b>'] }],
      sentHeaders,
      sentTrailers: { 'x-sum': '0123456789' },
    }
    for (let i = 0; i < 1_000; i++) {
      // PING and SETTINGS, as they are answered: 17 bytes, and 9.
      sent.control()
      sent.control()
      written += 17 + 9
      known = sent.fields(heads, 0)
      written += 3 * 9 + ':status103link</a>link</b>:status200dateSat, 28 Nov 2026 00:00:00 GMT'.length
      written += 'content-typetext/htmlx-sum0123456789'.length
      sent.ended()
      written += 13 + 9
      expect(sent.sum(written, 0, window)).toBe(0)
    }
    expect(known).toBe(3)
  })

  it('counts each block of fields once, as it goes', () => {
    const sent = new SentBodies()
    const early = [{ ':status': 103 }]
    let known = sent.fields({ sentInfoHeaders: early }, 0)
    expect(known).toBe(1)
    const ofEarly = 1_000 - sent.sum(1_000, 0, window)
    known = sent.fields({ sentInfoHeaders: early, sentHeaders: { ':status': 200 } }, known)
    expect(known).toBe(2)
    expect(2_000 - ofEarly - sent.sum(2_000, 0, window)).toBe(ofEarly)
    known = sent.fields({ sentInfoHeaders: early, sentHeaders: { ':status': 200 } }, known)
    expect(known).toBe(2)
    expect(3_000 - 2 * ofEarly).toBe(sent.sum(3_000, 0, window))
  })

  it('takes a block that goes on in further frames for no more', () => {
    const sent = new SentBodies()
    sent.fields({ sentHeaders: { a: 'x'.repeat(40_000) } }, 0)
    expect(sent.sum(3 * 9 + 40_004, 0, window)).toBe(0)
  })

  it('takes what lets an upload go on for none', () => {
    const sent = new SentBodies()
    // For each half of its window, and each of its connection's.
    const updates = 1_000 * (128 * 13 + 2 * 13)
    expect(sent.sum(updates, 1_000 * 65_536, 1_024)).toBe(0)
    expect(sent.sum(updates + 5_000, 1_000 * 65_536, 1_024)).toBe(5_000)
  })

  it('keeps nothing that was taken off too much: after 1,500 small answers each byte of a body counts', () => {
    const sent = new SentBodies()
    let written = 0
    for (let i = 0; i < 1_500; i++) {
      sent.fields({ sentHeaders }, 0)
      sent.ended()
      // HPACK has all of it in its table, and the body is small.
      written += 20
    }
    const before = sent.sum(written, 0, window)
    expect(sent.sum(written + 240, 0, window) - before).toBe(240)
  })

  it('counts what is seen to have gone, where heads have more in them than bodies', () => {
    const sent = new SentBodies()
    let written = 0
    for (let i = 1; i <= 100; i++) {
      sent.fields({ sentHeaders }, 0)
      sent.ended()
      sent.gone(40)
      sent.gone(10)
      // Alike as they are the heads are far smaller on the wire.
      written += 20 + 59
      expect(sent.sum(written, 0, window)).toBe(i * 50)
    }
    // It counts once beside all that is written, not on top of it.
    sent.gone(100)
    expect(sent.sum(written + 300, 0, window)).toBe(100 * 50 + 300)
    expect(sent.sum(written + 300, 0, window)).toBe(100 * 50 + 300)
  })

  it('takes a counter that went back for the beginning of another', () => {
    const sent = new SentBodies()
    sent.sum(1_000, 0, window)
    expect(sent.sum(0, 0, window)).toBe(1_000)
    expect(sent.sum(10, 0, window)).toBe(1_010)
  })
})
