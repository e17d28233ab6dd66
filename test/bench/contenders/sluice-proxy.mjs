// Sluice as one mounts it: createProxy() with all that is on by default.
import { createProxy } from 'sluice'
import { proxied } from '../lib/proxied.mjs'
import { origin } from '../lib/told.mjs'

await proxied(createProxy(origin))
