import { createServer } from 'node:http'
import { expect, it } from 'vitest'
import { listen } from '../../../test/kit/listen.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { type Body, PushBody, toListener } from './index.js'

trapUnhandled()
const own = owner()
const part = Buffer.alloc(256 * 1024, 'x')

/** So many parts, as there is room for them. */
class Parts extends PushBody {
  constructor(private left: number) {
    super()
    this.waiting = true
  }

  protected resume(): void {
    while (this.left > 0) {
      this.left--
      if (!this.push(part)) return
    }
    this.finish()
  }

  protected stop(): void {}
}

/** One body after the other, straight into the sink of the whole. */
function inARow(first: Body, second: Body): Body {
  return {
    pipe(to) {
      first.pipe({
        write: (chunk) => to.write(chunk),
        onDrain: (fn) => to.onDrain(fn),
        abort: (error) => to.abort(error),
        end: () => second.pipe(to),
      })
    },
    readable() {
      throw new Error('nobody needs a stream')
    },
    cancel(why) {
      first.cancel(why)
      second.cancel(why)
    },
  }
}

it.each([1, 2, 20])('each of two bodies in a row hears of room, the first of %i parts', async (parts) => {
  const listener = toListener(() => ({
    status: 200,
    headers: [],
    body: inARow(new Parts(parts), new Parts(40)),
  }))
  const { client } = own(await listen(createServer(listener)))
  const { body } = await client.ask()
  expect(body.length).toBe((parts + 40) * part.length)
})
