import { describe, expect, it } from 'vitest'
import { createTarget } from './index.js'

describe('createTarget', () => {
  it('makes a target of no upstream', () => {
    expect(createTarget('http://127.0.0.1:3000/')).toMatchObject({
      id: 'http://127.0.0.1:3000',
      state: 'unknown',
    })
    expect(createTarget({ url: 'https://a.test', tls: { verify: false } }).tls).toEqual({ verify: false })
  })

  it('refuses what is none, by its path', () => {
    expect(() => createTarget('localhost:3000', 'options.target')).toThrow(
      /^options\.target: got "localhost:3000"/,
    )
    expect(() => createTarget({ url: 'https://a.test', tls: { pfx: '' } })).toThrow(/pfx: got an empty text/)
    expect(() => createTarget({ url: 'https://a.test', tls: { pfx: Buffer.from('nonsense') } })).toThrow(
      /can't be used/,
    )
  })
})
