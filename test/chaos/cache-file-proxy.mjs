// A proxy with a file store, in a process of its own, to be killed wherever it is. Arguments: the target and the folder.
import { fileStore } from '@sluice/cache'
import { createProxy } from 'sluice'

const [target, folder] = process.argv.slice(2)
const store = fileStore({ folder, maxSize: '24mb' })
const proxy = createProxy({ upstreams: { default: target }, cache: { store, storeTimeout: '5s' } })
const { port } = await proxy.listen()
console.log(`port ${port}`)
