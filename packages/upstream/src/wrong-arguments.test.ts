import { describe, expect, it } from 'vitest'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { createUpstream, needUpstream } from './index.js'

trapUnhandled()

const url = 'http://127.0.0.1:1'
const make = (options: unknown) => () => createUpstream(options as never)
const upstream = () => createUpstream({ name: 'a', targets: [url] })
const source = (watch: unknown) => make({ name: 'a', targets: { watch } })

describe('createUpstream', () => {
  it.each([
    [undefined, 'upstream: got nothing, takes { name, targets, tls, panic }'],
    [url, `upstream: got "${url}", takes { name,`],
    [{ targets: [url] }, 'upstream.name: got nothing, takes a name'],
    [
      { name: 'a' },
      "upstream.targets: got nothing, takes a list of URLs such as ['http://127.0.0.1:3000'], or a source",
    ],
    [{ name: 'a', targets: [] }, 'upstream.targets: got an empty list'],
    [{ name: 'a', targets: url }, `upstream.targets: got "${url}", takes a list`],
    [
      { name: 'a', targets: { url, tls: { key: 'private' } } },
      'upstream.targets: got an object, takes a list',
    ],
    [{ name: 'a', targets: [{ url, weight: Number.NaN }] }, 'upstream.targets[0].weight: got NaN, takes'],
    [{ name: 'a', targets: [{ url, weight: 1n }] }, 'upstream.targets[0].weight: got 1, takes a number'],
    [
      { name: 'a', targets: [{ url, wieght: 1 }] },
      'wieght: unknown option, takes { url, id, weight, priority, ',
    ],
    [{ name: 'a', targets: [Object.create(null)] }, 'upstream.targets[0].url: got nothing, takes a URL'],
    [{ name: 'a', targets: [{ url: {} }] }, 'upstream.targets[0].url: got an object, takes a URL'],
  ])('refuses %o', (options, says) => {
    expect(make(options)).toThrow(TypeError)
    expect(make(options)).toThrow(says)
  })

  it('tells faults of options and of targets at once', () => {
    const wrong = make({ name: '', targets: ['127.0.0.1:1', { url, id: '' }], panic: 2, tsl: {} })
    expect(wrong).toThrow(/name: got "".*tsl: unknown.*panic: got 2.*targets\[0\].*targets\[1\]\.id/s)
  })
})

describe('a source', () => {
  it.each([
    [() => undefined, 'watch() gives nothing, takes'],
    [() => ({}), 'watch() gives an object, takes'],
    [async () => ({ [Symbol.dispose]() {} }), 'watch() gives a promise, takes'],
  ])('whose watch gives no Disposable is refused', (watch, says) => {
    expect(source(watch)).toThrow(`upstream.targets: got a source whose ${says} one that gives`)
  })

  it('whose watch is async and rejects does not end the process', () => {
    expect(
      source(async () => {
        throw new Error('later')
      }),
    ).toThrow('gives a promise')
  })

  it('that was refused delivers to nobody', () => {
    let deliver: (targets: string[]) => void = () => {}
    expect(
      source((fn: typeof deliver) => {
        deliver = fn
      }),
    ).toThrow('gives nothing')
    expect(() => deliver([url])).not.toThrow()
  })
})

describe('an upstream', () => {
  it('refuses listeners and gates that are no functions at once, not with the first request', () => {
    expect(() => upstream().on('state', undefined as never)).toThrow(
      "on('state'): got nothing, takes a function",
    )
    expect(() => upstream().on('stat' as never, () => {})).toThrow('on: got "stat", takes \'state\'')
    expect(() => upstream().gate(3 as never)).toThrow('gate: got 3, takes a function')
    expect(() => upstream().gate(() => true, 3 as never)).toThrow('gate: got 3, takes a function')
  })

  it.each([
    [url, `got "${url}"`],
    [{ url }, 'got an object'],
    [null, 'got null'],
    [() => {}, 'got a function'],
  ])('gives no lease on what is no target: %o', (given, says) => {
    expect(() => upstream().lease(given as never)).toThrow(`upstream a: ${says}, takes one of its targets`)
  })

  it('is told from anything else', () => {
    expect(() => needUpstream(upstream(), 'balance')).not.toThrow()
    for (const [given, shown] of [
      [undefined, 'nothing'],
      [[url], 'a list'],
      ['api', '"api"'],
    ])
      expect(() => needUpstream(given, 'balance')).toThrow(
        `balance: got ${shown} as its upstream, takes what createUpstream() gives`,
      )
  })
})
