// What the suite is run against: the proxy as one assembles it, with each of the stores.
import { join } from 'node:path'
import { createClient } from '@redis/client'
import { fileStore } from '@sluice/cache'
import { redisStore } from '@sluice/redis'
import { createProxy } from 'sluice'

/** The suite asks again within a millisecond, and two dozen tests at once: on a busy machine a store must not be given up for being slow. */
const patient = '10s'

/** What `cache` is set to, for each store, and what is to be closed after it. */
const caches = {
  none: async () => ({}),
  memory: async () => ({ cache: true }),
  async file({ folder }) {
    const store = fileStore({ folder: join(folder, 'entries') })
    return { cache: { store, storeTimeout: patient }, close: () => store.close() }
  },
  async redis({ redis }) {
    const client = createClient({ url: redis })
    // What goes wrong is a miss, and the store says so.
    client.on('error', () => {})
    await client.connect()
    const store = redisStore({ client, timeout: patient })
    return {
      cache: { store, storeTimeout: patient },
      async close() {
        await store.close()
        client.destroy()
      },
    }
  },
}

/** Names of the stores, beside `none`. */
export const stores = ['memory', 'file', 'redis']

/**
 * @param origin URL of the one target
 * @param store `none` for no cache at all, or a store's name
 * @param place a `folder` that goes with the run, and `redis`, the URL of a server
 * @returns the proxy, and a `close` that ends all
 */
export async function assembledProxy(origin, store, place) {
  const { cache, close } = await caches[store](place)
  const proxy = createProxy({ upstreams: { origin }, ...(cache !== undefined && { cache }) })
  return {
    proxy,
    async close(options) {
      await proxy.close(options)
      await close?.()
    },
  }
}
