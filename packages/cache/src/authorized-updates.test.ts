import type { Reply } from '@sluice/core'
import { get, type HeaderList } from '@sluice/headers'
import { describe, expect, it } from 'vitest'
import { createCache } from './create-cache.js'

const noon = Date.UTC(2026, 0, 1, 12)

/** A cache with a page that anybody has asked for, and a target that tells whom it knows. */
async function stored(more: string) {
  let now = noon
  let asked = 0
  const cache = createCache({ clock: () => now })
  const ask = async (method: string, headers: HeaderList = []) => {
    const reply = await cache.handle(
      { method, scheme: 'http', authority: 'site.test', path: '/', headers, body: null },
      ({ headers: sent, method: wanted }): Reply => {
        asked++
        const user = get(sent, 'authorization')
        const fields = [
          'ETag',
          '"a"',
          'Date',
          new Date(now).toUTCString(),
          'Cache-Control',
          `max-age=60${more}`,
        ]
        if (user !== undefined) fields.push('X-User', user)
        const known = get(sent, 'if-none-match') === '"a"'
        if (known) return { status: 304, headers: fields, body: null }
        return { status: 200, headers: fields, body: wanted === 'HEAD' ? null : 'page' }
      },
    )
    return [reply.status, get(reply.headers, 'x-user')]
  }
  await ask('GET')
  return {
    ask,
    later: (ms: number) => {
      now += ms
    },
    get asked() {
      return asked
    },
    [Symbol.asyncDispose]: () => cache.close(),
  }
}

describe.each(['GET', 'HEAD'])('the answer to a %s that said who asks', (method) => {
  it('renews nothing of what others get', async () => {
    await using site = await stored('')
    site.later(61_000)
    expect(await site.ask(method, ['Authorization', 'alice'])).toEqual([200, 'alice'])
    expect(await site.ask('GET')).toEqual([200, undefined])
    // It was still stale, and is fresh by the last one, which was for anybody.
    expect(site.asked).toBe(3)
    expect(await site.ask('GET')).toEqual([200, undefined])
    expect(site.asked).toBe(3)
  })

  it('renews it where it says that it is for anybody', async () => {
    await using site = await stored(', public')
    site.later(61_000)
    expect(await site.ask(method, ['Authorization', 'alice'])).toEqual([200, 'alice'])
    expect(await site.ask('GET')).toEqual([200, 'alice'])
    expect(site.asked).toBe(2)
  })
})
