import { Agent, Client, Dispatcher, MockAgent, Pool, ProxyAgent, RetryAgent } from 'undici'
import { expect, it } from 'vitest'
import { owner } from '../../../test/kit/owner.js'
import { refusesHandlers } from './refuses-handlers.js'
import { undiciTransport } from './undici-transport.js'

const own = owner()

/** As the class of this name in undici 8: it tells no handler that is of the older interface. */
class DispatcherBase extends Dispatcher {
  calls = 0

  override dispatch(options: unknown, handler: { onResponseError?: unknown }): boolean {
    this.calls++
    if (options !== undefined) throw new Error('no request was to be made')
    if (typeof handler.onResponseError === 'function') return true
    throw Object.assign(new Error('invalid onError method'), { code: 'UND_ERR_INVALID_ARG' })
  }
}

class Newer extends DispatcherBase {}

it.each<[string, () => Dispatcher]>([
  ['an Agent', () => new Agent()],
  ['a Client', () => new Client('http://127.0.0.1:1')],
  ['a Pool', () => new Pool('http://127.0.0.1:1')],
  ['a ProxyAgent', () => new ProxyAgent('http://127.0.0.1:1')],
  ['a MockAgent', () => new MockAgent()],
  ['a RetryAgent', () => new RetryAgent(new Agent())],
  [
    'one with an interceptor',
    () =>
      new Agent().compose(
        (dispatch) =>
          (...all) =>
            dispatch(...all),
      ),
  ],
])('takes %s of undici 7', (_, make) => {
  expect(refusesHandlers(own(make()))).toBe(false)
})

it('says at once that it takes none of undici 8, without a request', () => {
  const dispatcher = new Newer()
  expect(() => undiciTransport({ dispatcher })).toThrow(
    /undiciTransport\.dispatcher: got .*undici 8 in its Dispatcher1Wrapper/s,
  )
  expect(dispatcher.calls).toBe(1)
})

it('calls nothing that stands over it: that may make the one handler of the other', () => {
  let calls = 0
  class Wrapping extends Newer {
    override dispatch(): boolean {
      calls++
      return true
    }
  }
  const composed = new Newer().compose(() => () => {
    calls++
    return true
  })
  for (const dispatcher of [new Wrapping(), composed]) expect(refusesHandlers(dispatcher)).toBe(false)
  expect(calls).toBe(0)
})
