import { balance } from '@sluice/balance'
import { chain, toListener, toUpgradeListener } from '@sluice/core'
import { createUpstream } from '@sluice/upstream'
import { serve } from './announce.mjs'
import { createFront } from './front.mjs'
import { origin } from './told.mjs'

/** Serves a chain of `balance()` and one's own `forward()`, in a server of one's own. */
export function composed(forwarding) {
  const upstream = createUpstream({ name: 'origin', targets: [origin] })
  const site = chain().use(balance(upstream)).handle(forwarding)
  serve(createFront(toListener(site), toUpgradeListener(site)))
}
