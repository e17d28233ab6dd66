// Sluice before the origin: `sluice.mjs ORIGIN STORE FOLDER [REDIS]`.
import { announce, endWithTheRun } from '../../bench/lib/announce.mjs'
import { assembledProxy } from '../assembled-proxy.mjs'

const [origin, store, folder, redis] = process.argv.slice(2)
const { proxy, close } = await assembledProxy(origin, store, { folder, redis })
endWithTheRun(close)
const { port } = await proxy.listen()
announce(port)
