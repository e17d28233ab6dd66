// Varnish with its default rules and its cache in memory.

import { origin } from '../lib/told.mjs'
import { varnish } from '../lib/varnish.mjs'

await varnish(origin, ['-s', 'malloc,256M'])
