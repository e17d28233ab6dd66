// Sluice as one mounts it: createProxy() with all that is on by default.
import { createProxy } from 'sluice'
import { announce, endWithTheRun } from '../lib/announce.mjs'

endWithTheRun()
const { port } = await createProxy(process.argv[2]).listen(0, '127.0.0.1')
announce(port)
