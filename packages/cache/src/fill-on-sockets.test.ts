import { randomBytes } from 'node:crypto'
import { type Handler, ProxyError, PushBody, toListener } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { httpClient } from '../../../test/kit/client.js'
import { mounts } from '../../../test/kit/mounts.js'
import { owner } from '../../../test/kit/owner.js'
import { until } from '../../../test/kit/until.js'
import { Fill } from './fill.js'

const own = owner()

class Source extends PushBody {
  stopped = false
  give(chunk: Uint8Array): boolean {
    return this.push(chunk)
  }
  done(): void {
    this.finish()
  }
  lose(error: Error): void {
    this.fail(error)
  }
  protected resume(): void {}
  protected stop(): void {
    this.stopped = true
  }
}

describe.each(mounts.filter(({ tls, framework }) => !tls && !framework))(
  'one body for many, on $name',
  ({ http2, serve }) => {
    /** More than the system keeps of one connection. */
    const size = 16 * 1024 * 1024

    async function begun(length?: number) {
      const source = new Source()
      const stored: Uint8Array[] = []
      let ended = 'no'
      const fill = new Fill(
        source,
        {
          write: (chunk) => {
            stored.push(chunk)
            return true
          },
          commit: () => {
            ended = 'committed'
          },
          abort: () => {
            ended = 'aborted'
          },
        },
        { keep: size, ...(length === undefined ? {} : { length }) },
      )
      const headers = length === undefined ? [] : ['content-length', String(length)]
      const handler: Handler = () => ({ status: 200, headers, body: fill.reader() })
      const { port } = own(await serve({ listener: toListener(handler) }))
      fill.start()
      return {
        source,
        fill,
        stored,
        ended: () => ended,
        // A connection of its own: on one of HTTP/2 a slow reader takes the room from all others.
        call: () => own(httpClient({ port, http2 })).call(),
      }
    }

    it('waits for nobody, and gives everybody every byte', async () => {
      const { source, fill, stored, ended, call } = await begun(size)
      const calls = Array.from({ length: 6 }, call)
      await until(() => fill.reading === 6, 'every reader to be there')
      const [quick, slow, leaving] = [calls.slice(0, 2), calls.slice(2, 4), calls.slice(4)]
      const answers = Promise.all(quick.map((each) => each.answer()))
      const whole = randomBytes(size)
      for (let at = 0; at < size; at += 65_536) {
        expect(source.give(whole.subarray(at, at + 65_536))).toBe(true)
        if (at === size / 2) for (const each of leaving) each.abort()
        if (at === size / 2) await until(() => fill.reading === 4, 'those to be gone who leave')
      }
      source.done()
      expect([ended(), Buffer.concat(stored).equals(whole)]).toEqual(['committed', true])
      for (const { body, complete } of await answers)
        expect([body.equals(whole), complete]).toEqual([true, true])
      expect(fill.isLagging).toBe(true)
      for (const { body, complete } of await Promise.all(slow.map((each) => each.answer())))
        expect([body.equals(whole), complete]).toEqual([true, true])
      expect(fill.reading).toBe(0)
      expect(source.stopped).toBe(false)
    })

    it('never ends cleanly what is not whole', async () => {
      const { source, fill, ended, call } = await begun()
      const calls = Array.from({ length: 4 }, call)
      await until(() => fill.reading === 4, 'every reader to be there')
      source.give(randomBytes(100_000))
      source.lose(new ProxyError('connection_read_timeout'))
      for (const { status, complete } of await Promise.all(calls.map((each) => each.answer())))
        expect([status, complete]).toEqual([200, false])
      expect([ended(), fill.reading]).toEqual(['aborted', 0])
    })
  },
)
