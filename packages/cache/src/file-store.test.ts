import { describe } from 'vitest'
import { faultyFiles } from '../../../test/kit/faulty-files.js'
import { seeded } from '../../../test/kit/seeded.js'
import { storeFolder } from '../../../test/kit/store-folder.js'
import { storeSuite } from '../../../test/kit/store-suite.js'
import { type FileStoreSeams, fileStore } from './index.js'

const random = seeded(6)

/** Every call takes some turns of the event loop, and a look at a folder many: the suite goes on before the files are known. */
const slow = (): FileStoreSeams => ({
  fs: faultyFiles(async ({ call }) => {
    for (let turns = random() * (call === 'readdir' ? 30 : 4); turns >= 1; turns--)
      await new Promise((resolve) => setImmediate(resolve))
  }),
})

describe.each<[string, () => FileStoreSeams]>([
  ['on a disk as it comes', () => ({})],
  ['on a slow disk', slow],
])('%s', (_, seams) => {
  storeSuite(
    'fileStore()',
    async (limits) => {
      const folder = await storeFolder()
      const store = fileStore({ folder: folder.path, ...limits }, seams())
      return { store, used: () => store.stats.bytes, close: () => folder.close() }
    },
    { sync: false, outlives: true },
  )
})
