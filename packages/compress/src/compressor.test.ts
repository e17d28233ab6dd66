import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { type Reply, toReadable } from '@sluice/core'
import { get } from '@sluice/headers'
import { describe, expect, it } from 'vitest'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { createCompressor } from './compressor.js'

trapUnhandled()

const html = ['Content-Type', 'text/html']
const text = 'a line that compresses well\n'.repeat(2000)

/** What a client that takes gzip gets of a reply. */
async function answer(reply: Reply, method = 'GET'): Promise<Reply> {
  const compressor = createCompressor()
  return compressor.answer(compressor.ask({ method, headers: ['Accept-Encoding', 'gzip'] }), reply)
}

async function bytesOf({ body }: Reply): Promise<string> {
  return gunzipSync(await buffer(toReadable(body))).toString()
}

describe('trailers', () => {
  it.each([
    ['at once', text.slice(0, 4000)],
    ['while it flows', text],
  ])('of a body that is coded %s lose the digests of the plain bytes', async (_name, body) => {
    const trailers = () => ['Repr-Digest', 'sha-256=:AA==:', 'Server-Timing', 'db']
    const reply = await answer({ status: 200, headers: html, body, trailers })
    expect(get(reply.headers, 'content-encoding')).toBe('gzip')
    expect(reply.trailers?.()).toEqual(['Server-Timing', 'db'])
  })
})

describe('a body that flows and says its length', () => {
  const said = (length: number): Reply => ({
    status: 200,
    headers: [...html, 'Content-Length', String(length)],
    body: Readable.from([Buffer.from(text)]),
  })

  it('is whole with as many bytes', async () => {
    expect(await bytesOf(await answer(said(text.length)))).toBe(text)
  })

  it.each([
    ['too short', 1, 'http_response_incomplete'],
    ['too long', -1, 'http_protocol_error'],
  ])('is never finished where it is %s', async (_name, more, code) => {
    const reply = await answer(said(text.length + more))
    await expect(bytesOf(reply)).rejects.toMatchObject({ code })
  })
})

describe('HEAD', () => {
  const head = (...more: string[]): Promise<Reply> =>
    answer({ status: 200, headers: [...html, 'ETag', '"x"', ...more], body: null }, 'HEAD')

  it('has the fields of a GET that is coded for sure', async () => {
    const { headers } = await head('Content-Length', '5000', 'Accept-Ranges', 'bytes')
    expect(headers).toEqual([...html, 'ETag', 'W/"x"', 'Vary', 'Accept-Encoding', 'Content-Encoding', 'gzip'])
  })

  it('says no coding where its GET may turn out to be too small for one', async () => {
    expect((await head()).headers).toEqual([...html, 'ETag', '"x"', 'Vary', 'Accept-Encoding'])
  })

  it('says it of events, of which there is no end to wait for', async () => {
    const events = { status: 200, headers: ['Content-Type', 'text/event-stream'], body: null }
    expect(get((await answer(events, 'HEAD')).headers, 'content-encoding')).toBe('gzip')
  })
})

describe('lines of JSON', () => {
  const lines = (type: string, more: string[] = []): Reply => ({
    status: 200,
    headers: ['Content-Type', type, ...more],
    body: Readable.from([Buffer.from('{"a":1}\n'.repeat(500))]),
  })

  it('are coded at once, with a length, where they say how many they are', async () => {
    const { headers } = await answer(lines('application/x-ndjson', ['Content-Length', '4000']))
    expect(Number(get(headers, 'content-length'))).toBeLessThan(1000)
  })

  it.each([
    'text/event-stream',
    'Application/X-NDJSON; charset=utf-8',
    'application/jsonl',
    'application/json-lines',
    'application/json-seq',
    'application/geo+json-seq',
    'application/grpc-web-text',
  ])('and other messages flow where nobody knows: %s', async (type) => {
    const { body, headers } = await answer(lines(type))
    expect(get(headers, 'content-length')).toBeUndefined()
    expect(gunzipSync(await buffer(toReadable(body)))).toHaveLength(4000)
  })

  it.each(['text/event-streams', 'application/jsonlike+json'])(
    'are no type that begins alike: %s',
    async (type) => {
      expect(get((await answer(lines(type))).headers, 'content-length')).toBeDefined()
    },
  )
})
