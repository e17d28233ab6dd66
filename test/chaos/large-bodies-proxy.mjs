// A proxy in a process of its own, which tells how much memory it has: what a test measures is then the proxy's alone.
import { createProxy } from 'sluice'

const [target] = process.argv.slice(2)
const proxy = createProxy({ upstreams: { default: { targets: [target] } } })
const { port } = await proxy.listen()
console.log(`port ${port}`)
setInterval(() => console.log(`rss ${process.memoryUsage().rss}`), 20)
