import { describe, expect, it } from 'vitest'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { chain, fromConnect, fromListener, toConnect, toListener, toUpgradeListener } from './index.js'

trapUnhandled()

const answer = () => ({ status: 200, headers: [], body: null })
const none: unknown[] = [undefined, null, {}, { handler: answer }, 'x']

describe('a chain', () => {
  it.each<[name: string, layer: unknown, got: string]>([
    ['nothing', undefined, 'got undefined'],
    ['an object', {}, 'got object'],
    ['one that gives nothing', () => {}, 'got a function that gives undefined'],
    ['an async one', async () => answer, 'got a function that gives object'],
    ['one that rejects', async (next: () => void) => next(), 'got a function that gives object'],
    [
      'one of Koa',
      async (_ctx: unknown, next: () => unknown) => next(),
      'got a function of several arguments',
    ],
    [
      'one of Connect',
      (_req: unknown, _res: unknown, next: () => void) => next(),
      'got a function of several arguments',
    ],
  ])('refuses %s by its place', (_name, layer, got) => {
    const make = () =>
      chain()
        .use((next) => next)
        .use(layer as never)
        .handle(answer)
    expect(make).toThrow(TypeError)
    expect(make).toThrow(`layer 2 of the chain: ${got}, takes a layer, (next) => (ctx) => reply`)
    expect(make).toThrow('fromConnect()')
  })

  it('lets through what a layer throws as it is linked', () => {
    const wrong = new RangeError('its own')
    const make = () =>
      chain()
        .use(() => {
          throw wrong
        })
        .handle(answer)
    expect(make).toThrow(wrong)
  })

  it.each(none)('refuses %o for a handler', (wrong) => {
    expect(() => chain().handle(wrong as never)).toThrow('handle(): got ')
  })
})

describe.each([
  ['toListener', toListener],
  ['toUpgradeListener', toUpgradeListener],
  ['toConnect', toConnect],
  ['fromConnect', fromConnect],
  ['fromListener', fromListener],
])('%s', (name, make) => {
  it.each(none)('refuses %o', (wrong) => {
    expect(() => make(wrong as never)).toThrow(TypeError)
    expect(() => make(wrong as never)).toThrow(`${name}: got `)
  })
})
