// Sluice as one composes it: forward() over the wire behind balance() in one's own server.
import { forward, wireTransport } from '@sluice/forward'
import { composed } from '../lib/composed.mjs'

composed(forward({ transport: wireTransport() }))
