// Sluice as one composes it: forward() behind balance() in one's own server.
import { createServer } from 'node:http'
import { balance } from '@sluice/balance'
import { chain, toListener } from '@sluice/core'
import { forward } from '@sluice/forward'
import { createUpstream } from '@sluice/upstream'
import { serve } from '../lib/announce.mjs'

const upstream = createUpstream({ name: 'origin', targets: [process.argv[2]] })
const site = chain().use(balance(upstream)).handle(forward())

serve(createServer(toListener(site)))
