// The same over undici: forward({ transport: undiciTransport() }).
import { forward, undiciTransport } from '@sluice/forward'
import { composed } from '../lib/composed.mjs'

composed(forward({ transport: undiciTransport() }))
