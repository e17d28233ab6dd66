import { createHash } from 'node:crypto'
import { once } from 'node:events'
import * as zlib from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { zlibOfNow } from './coding.js'
import { dictionaryOf } from './dictionary.js'
import { type DictionaryCoding, dictionaryCoding } from './dictionary-coding.js'
import { createDictionaryEncoder, dictionaryPrefix, dictionaryWindow } from './dictionary-encoder.js'
import { dictionarySupport } from './dictionary-support.js'
import { PathPattern } from './path-pattern.js'

const MB = 1024 * 1024
const of = (bytes: Buffer) => dictionaryOf(bytes, new PathPattern('/*'))
/** Text that can't be made shorter than three quarters by itself. */
const text = (size: number): Buffer =>
  Buffer.from(
    Array.from({ length: Math.ceil(size / 44) }, (_, i) =>
      createHash('sha256').update(String(i)).digest('base64'),
    ).join(''),
  ).subarray(0, size)

async function coded(coding: DictionaryCoding, dictionary: Buffer, bytes: Buffer): Promise<Buffer> {
  const encoder = createDictionaryEncoder(coding, of(dictionary), bytes.length)
  const parts: Buffer[] = []
  encoder.on('data', (part: Buffer) => parts.push(part)).end(bytes)
  await once(encoder, 'end')
  return Buffer.concat(parts)
}

describe('coding by a dictionary', () => {
  it('says which one, before the stream', () => {
    const one = of(Buffer.from('abc'))
    const digest = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    expect(dictionaryPrefix('dcb', one).toString('hex')).toBe(`ff444342${digest}`)
    expect(dictionaryPrefix('dcz', one).toString('hex')).toBe(`5e2a4d1820000000${digest}`)
  })

  it('has a window of zstd in which all of the dictionary is seen, within what clients can read', () => {
    const cases: [dictionary: number, size: number | undefined, window: number][] = [
      [10, 10, 16],
      [0.5 * MB, 0.5 * MB, 21],
      [0.5 * MB, undefined, 21],
      [4 * MB, 4 * MB, 23],
      [20 * MB, 20 * MB, 24],
      [200 * MB, 200 * MB, 27],
      [10, 500 * MB, 23],
    ]
    for (const [dictionary, size, window] of cases) {
      expect(dictionaryWindow(dictionary, size), `${dictionary}, ${size}`).toBe(window)
      expect(2 ** window).toBeLessThanOrEqual(Math.max(8 * MB, Math.min(128 * MB, dictionary * 1.25)))
    }
  })

  it.each(['dcb', 'dcz'] as const)(
    'by %s makes little of bytes that are in it, wherever in it',
    async (coding) => {
      if (!dictionarySupport()[coding]) {
        console.log(`dictionaries: Node ${process.version} has no ${coding}, so nothing is coded by it`)
        return
      }
      const dictionary = text(MB)
      const decode = coding === 'dcb' ? zlib.brotliDecompressSync : zlibOfNow.zstdDecompressSync
      for (const bytes of [dictionary, dictionary.subarray(0, 100_000), dictionary.subarray(-1000)]) {
        const made = await coded(coding, dictionary, bytes)
        expect(made.length).toBeLessThan(1000)
        expect((decode as (b: Buffer, o: object) => Buffer)(made, { dictionary }).equals(bytes)).toBe(true)
      }
    },
  )

  it('is chosen by what the dictionary can be used for', () => {
    const both = { dcb: true, dcz: true }
    const takes = ['Accept-Encoding', 'dcb, dcz']
    const chosen = (bytes: Buffer, headers = takes, support = both) =>
      dictionaryCoding(headers, of(bytes), support)
    expect(chosen(Buffer.from('any'))).toBe('dcz')
    expect(chosen(Buffer.from('any'), takes, { dcb: true, dcz: false })).toBe('dcb')
    expect(chosen(Buffer.from('any'), ['Accept-Encoding', 'dcb', 'Accept-Encoding', 'dcz;q=0.9'])).toBe('dcb')
    // Zstd would read it as one of its own.
    expect(chosen(Buffer.from('37a430ec00000000', 'hex'))).toBe('dcb')
    // Brotli would take too long.
    expect(chosen(Buffer.alloc(2 * MB), takes)).toBe('dcz')
    expect(chosen(Buffer.alloc(2 * MB), takes, { dcb: true, dcz: false })).toBeUndefined()
  })
})
