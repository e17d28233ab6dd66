import { cp } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type FileCall, faultyFiles, systemError } from '../../../test/kit/faulty-files.js'
import { entryHead } from '../../../test/kit/store-entries.js'
import { type StoreFolder, storeFolder } from '../../../test/kit/store-folder.js'
import { type FileStore, fileStore } from './index.js'

const keys = ['a', 'b', 'c', 'd']
const urls = ['http://a.example/', 'http://a.example/x', 'http://b.example/']

/** What may be wrong with a folder. */
const troubles = {
  none: () => undefined,
  'read-only': (call) => (isWrite(call) ? 'EROFS' : undefined),
  'closed to us': (call) =>
    isWrite(call) && (call.call !== 'open' || call.flags === 'wx') ? 'EACCES' : undefined,
  'closed, files too': (call) => (isWrite(call) ? 'EPERM' : undefined),
  'few descriptors': ({ call }) => (call === 'open' || call === 'readdir' ? 'EMFILE' : undefined),
  'few descriptors, read-only': (call) => {
    if (call.call === 'open' || call.call === 'readdir') return 'EMFILE'
    return isWrite(call) ? 'EROFS' : undefined
  },
} satisfies Record<string, (call: FileCall) => string | undefined>

type Trouble = keyof typeof troubles

function isWrite({ call, flags }: FileCall): boolean {
  return call === 'unlink' || call === 'rename' || call === 'mkdir' || (call === 'open' && flags !== 'r')
}

type Command =
  | { do: 'put'; key: string; url: string; tag: string }
  | { do: 'delete'; key: string }
  | { do: 'purge'; url?: string; tag?: string; soft: boolean }
  | { do: 'trouble'; trouble: Trouble }
  | { do: 'restart'; ready: boolean }

const tag = fc.constantFrom('red', 'green')
const key = fc.constantFrom(...keys)
const url = fc.constantFrom(...urls)
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('put' as const), key, url, tag }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('purge' as const), url, soft: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('purge' as const), tag, soft: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('trouble' as const),
      trouble: fc.oneof(
        fc.constant('none' as const),
        fc.constantFrom(...(Object.keys(troubles) as Trouble[])),
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('restart' as const), ready: fc.boolean() }) },
)

/** An entry that was put, and what has been asked of it since. */
interface Made {
  readonly key: string
  readonly url: string
  readonly tag: string
  /** This process must not give it, or not without the mark of a soft purge. */
  dropped: 'hard' | 'soft' | undefined
  /** Nor may another one: whoever dropped it was told that it is done. */
  promised: 'hard' | 'soft' | undefined
}

function harder(before: Made['dropped'], soft: boolean): Made['dropped'] {
  return soft && before !== 'hard' ? 'soft' : 'hard'
}

/** Asks these things of a store in this folder, and looks after each whether it keeps its word. */
async function run(folder: StoreFolder, commands: readonly Command[]): Promise<void> {
  const made = new Map<string, Made>()
  let trouble: Trouble = 'none'
  let store = begin()
  for (const [i, key] of keys.entries())
    await put({ do: 'put', key, url: urls[i % urls.length] as string, tag: i < 2 ? 'red' : 'green' })
  for (const one of commands) {
    await ask(one)
    await look(store, 'dropped')
  }
  // When nothing is wrong any more, all that was ever asked is done by the end, whether it was promised or not.
  trouble = 'none'
  await store.close()
  await lookAtAll(folder, 'dropped')

  function begin(): FileStore {
    const fs = faultyFiles((call) => {
      const code = troubles[trouble](call)
      if (code !== undefined) throw systemError(code, call.call)
    })
    return fileStore({ folder: folder.path }, { fs })
  }

  async function ask(command: Command): Promise<void> {
    switch (command.do) {
      case 'put':
        return put(command)
      case 'delete':
        return drop(
          (one) => one.key === command.key,
          false,
          async () => store.delete(command.key),
        )
      case 'purge': {
        const { url, tag, soft } = command
        const what = url === undefined ? { tag: tag as string } : { url }
        const isMeant = (one: Made): boolean => (url === undefined ? one.tag === tag : one.url === url)
        return drop(isMeant, soft, () => store.purge(what, soft))
      }
      case 'trouble':
        trouble = command.trouble
        return
      case 'restart':
        await store.close()
        store = begin()
        // What was only to be gone for that process is nobody's promise.
        for (const one of made.values()) one.dropped = one.promised
        if (command.ready) await store.ready()
    }
  }

  async function put({ key, url, tag }: Extract<Command, { do: 'put' }>): Promise<void> {
    const head = entryHead({ url, tags: [tag] })
    made.set(head.id, { key, url, tag, dropped: undefined, promised: undefined })
    const writer = store.put(key, head)
    writer?.write(Buffer.from(head.id))
    await writer?.commit()
    if (trouble === 'none') expect((await store.get(key))?.head).toEqual(head)
  }

  async function drop(
    isMeant: (one: Made) => boolean,
    soft: boolean,
    act: () => Promise<unknown>,
  ): Promise<void> {
    const done = await act().then(
      () => true,
      () => false,
    )
    for (const one of made.values()) {
      if (!isMeant(one)) continue
      one.dropped = harder(one.dropped, soft)
      if (done) one.promised = harder(one.promised, soft)
    }
    if (!done) return expect(trouble).not.toBe('none')
    // As after `kill -9`, with the disk in order.
    const copy = await storeFolder()
    await cp(folder.path, copy.path, { recursive: true })
    await lookAtAll(copy, 'promised')
    await copy.close()
  }

  async function lookAtAll({ path }: StoreFolder, by: 'dropped' | 'promised'): Promise<void> {
    const next = fileStore({ folder: path })
    await next.ready()
    await look(next, by)
    await next.close()
  }

  async function look(from: FileStore, by: 'dropped' | 'promised'): Promise<void> {
    for (const key of keys) {
      const head = (await from.get(key))?.head
      const how = head && made.get(head.id)?.[by]
      expect(how, `${key} is ${head?.id}`).not.toBe('hard')
      if (how === 'soft') expect(head?.purged, `${key} is ${head?.id}`).toBe(true)
    }
  }
}

describe('a file store whose folder has troubles', () => {
  it('never gives what was purged, and after a restart only what it has said it may', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 10, maxLength: 30 }), async (commands) => {
        const folder = await storeFolder()
        try {
          await run(folder, commands)
        } finally {
          await folder.close()
        }
      }),
      { numRuns: 50 },
    )
  }, 60_000)
})
