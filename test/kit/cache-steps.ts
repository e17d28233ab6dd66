import fc from 'fast-check'

/** What may happen, in any order. */
export type Step =
  | {
      do: 'ask'
      path: string
      method: string
      kind: string
      said: string
      range: string
      known: boolean
      user: boolean
    }
  | {
      do: 'answer'
      at: number
      status: number
      said: string
      lasts: number
      whole: boolean
      unnamed: boolean
    }
  | { do: 'fail'; at: number }
  | { do: 'write' | 'end' | 'break'; at: number }
  | { do: 'pass'; ms: number }
  | { do: 'purge'; by: 'url' | 'tag' | 'prefix'; soft: boolean; path: string }
  | { do: 'slow'; slow: boolean }
  | { do: 'trouble'; method: string; kind: 'throws' | 'rejects' | undefined }

const paths = ['/plain', '/varies']
const path = fc.constantFrom(...paths)
const at = fc.nat(5)
/** One step: about as many answers as requests. */
export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      path,
      method: fc.constantFrom('GET', 'GET', 'GET', 'GET', 'GET', 'HEAD', 'POST'),
      kind: fc.constantFrom('a', 'b'),
      said: fc.constantFrom(
        '',
        '',
        '',
        '',
        'no-cache',
        'max-age=0',
        'max-age=5',
        'max-stale=20',
        'no-store',
        'min-fresh=5',
        'only-if-cached',
      ),
      range: fc.constantFrom('', '', '', 'bytes=0-4', 'bytes=5-9', 'bytes=-3'),
      known: fc.boolean(),
      user: fc.constantFrom(false, false, true),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('answer' as const),
      at,
      status: fc.constantFrom(200, 200, 200, 200, 304, 304, 404, 503),
      said: fc.constantFrom(
        '',
        '',
        '',
        '',
        'private',
        'no-store',
        'no-cache',
        'must-revalidate',
        'stale-while-revalidate=30',
        'stale-if-error=30',
      ),
      lasts: fc.constantFrom(0, 10, 10, 60),
      whole: fc.boolean(),
      unnamed: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const), at }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('write' as const, 'end' as const, 'end' as const, 'break' as const),
      at,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(1, 1000, 4000, 11_000, 61_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('purge' as const),
      by: fc.constantFrom('url' as const, 'tag' as const, 'prefix' as const),
      soft: fc.boolean(),
      path,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('slow' as const), slow: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('trouble' as const),
      method: fc.constantFrom('get', 'put', 'write', 'commit'),
      kind: fc.constantFrom('throws' as const, 'rejects' as const, undefined, undefined),
    }),
  },
)
