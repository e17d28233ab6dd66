import { describe, expect, it } from 'vitest'
import { skipUnless } from '../kit/skip.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { hasCases } from '../smuggling/lib/corpus.mjs'
import { results } from '../smuggling/lib/results.mjs'
import { transports } from '../smuggling/lib/rig.mjs'
import { kept, settled, table } from '../smuggling/lib/table.mjs'

trapUnhandled()

describe.skipIf(skipUnless(hasCases, 'requests of other test suites: there is no shared/smuggling'))(
  'requests that two parsers may read in two ways',
  () => {
    it.each(Object.keys(transports))(
      'over %s are refused or arrive as what they are, as docs/security.md says',
      async (transport) => {
        const list = await results(transport)
        expect(list.length).toBeGreaterThan(200)
        expect(list.flatMap(({ id, wrong }) => (wrong === undefined ? [] : [`${id}: ${wrong}`]))).toEqual([])
        // After a change that is meant: npm run smuggling -- --docs
        expect(settled(table(list)).trim().split('\n')).toEqual(settled(kept()).split('\n'))
      },
    )
  },
)
