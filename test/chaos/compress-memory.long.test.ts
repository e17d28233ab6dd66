import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { codings } from '@sluice/compress'
import { describe, expect, it } from 'vitest'
import { within } from '../kit/index.js'

const program = fileURLToPath(new URL('compress-memory-process.mjs', import.meta.url))
const MB = 1024 ** 2

/** What a process that does this says of its memory. */
async function told<T>(...args: (string | number)[]): Promise<T> {
  const child = fork(program, args.map(String), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: ['--expose-gc'],
  })
  try {
    const [message] = (await within(once(child, 'message'), args.join(' '), 120_000)) as [T]
    return message
  } finally {
    child.kill('SIGKILL')
  }
}

describe.each(codings)('bodies in %s', (coding) => {
  it('leave nothing behind when 10,000 takers leave', async () => {
    const { waves } = await told<{ waves: number[] }>('aborts', 10_000, coding)
    // A thousand codecs that weren't freed are half a gigabyte and more; the allocator keeps some of what many threads had at once.
    expect(Math.min(...waves.slice(-3))).toBeLessThan(100 * MB)
  })

  /** What the docstring of `createEncoder` says: MB by level. */
  const bounds = {
    gzip: { 1: 1, 6: 1, 9: 1 },
    deflate: { 6: 1 },
    br: { 4: 5, 6: 5, 9: 5, 11: 12 },
    zstd: { 1: 4, 3: 4, 12: 4, 19: 6 },
  }[coding]
  it.each(Object.entries(bounds))(
    'take no more than is stated while they flow, on level %s',
    async (level, most) => {
      const { each } = await told<{ each: number }>('held', 20, coding, level)
      expect(each).toBeLessThan(most * MB)
    },
  )
})
