import { chain, clientAddress, type Handler } from '@sluice/core'
import { clientKey } from './client-key.js'
import { concurrencyLimit } from './concurrency-limit.js'
import { gcra } from './gcra.js'
import { rateLimit } from './rate-limit.js'
import { resolveRateLimit } from './rate-limit-options.js'

declare const handler: Handler
const limiter = gcra({ limit: 1, window: '1s' })

// Keys are inferred from the chain, and a key written for a client fits where there is one.
chain()
  .use(clientAddress())
  .use(rateLimit(limiter, { key: (ctx) => ctx.client.address, cost: (ctx) => ctx.out.path.length }))
  .use(rateLimit([limiter, limiter], { key: clientKey() }))
  .use(concurrencyLimit({ limit: 1, key: (ctx) => ctx.client.address }))
  .use(concurrencyLimit({ limit: 1, key: clientKey() }))
  .use(resolveRateLimit({ limit: 1, window: '1s' }))
  .handle(handler)

// Without one a key of the request alone does.
chain()
  .use(rateLimit(limiter, { key: (ctx) => ctx.out.path }))
  .use(concurrencyLimit({ limit: 1 }))
  .handle(handler)

// @ts-expect-error there is no client yet
chain().use(rateLimit(limiter, { key: (ctx) => ctx.client.address }))
// @ts-expect-error there is no client yet
chain().use(rateLimit(limiter, { key: clientKey() }))
// @ts-expect-error there is no client yet
chain().use(resolveRateLimit({ limit: 1, window: '1s' }))
// @ts-expect-error a key is a text
rateLimit(limiter, { key: () => 3 })
