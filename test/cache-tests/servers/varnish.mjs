// Varnish, set up as the suite's own comparison does it: `varnish.mjs ORIGIN`.
import { varnish } from '../../bench/lib/varnish.mjs'

const [origin] = process.argv.slice(2)

await varnish(origin, [
  ...['-p', 'default_ttl=0', '-p', 'default_grace=0', '-p', 'default_keep=3600'],
  ...['-s', 'malloc,64M'],
])
