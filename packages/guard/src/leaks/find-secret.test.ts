import { describe, expect, it } from 'vitest'
import { findSecrets } from './find-secret.js'
import { secretsOf } from './secret-forms.js'

const found = (text: string, ...secrets: string[]): string[] =>
  findSecrets(
    text,
    secrets.flatMap((each) => secretsOf(each, 'public.example')),
  ).map(({ disguise }) => disguise)

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const hex = (text: string): string => Buffer.from(text).toString('hex')

describe('a name', () => {
  it.each([
    ['by app-1.internal', 'as it is'],
    ['by APP-1.Internal', 'in another case'],
    ['by app%2D1%2einternal', 'percent-encoded'],
    ['by app%252D1.internal', 'percent-encoded'],
    ['by APP%2D1.internal', 'percent-encoded, in another case'],
    ['by app&#45;1&#x2E;internal', 'with entities of HTML'],
    ['by app&amp;#45;1&period;internal', 'with entities of HTML'],
    [String.raw`by app\u002d1\x2einternal`, 'with escapes of JSON'],
    [`cookie=${base64('x app-1.internal y')}`, 'in base64'],
    [`cookie=${base64('xx app-1.internal y').replaceAll('=', '')}.sig`, 'in base64'],
    [`ey${base64('app-1.internal')}`, 'in base64'],
    [`id=a${Buffer.from('>>>app-1.internal???').toString('base64url')}`, 'in base64'],
    [`id=${hex('app-1.internal')}00`, 'in hexadecimal'],
    [`id=${hex('APP-1.INTERNAL').toUpperCase()}`, 'in hexadecimal'],
    ['lanretni.1-ppa', 'backwards'],
    ['app_1_internal', 'with other marks between'],
  ])('%s shows it %s', (text, disguise) => expect(found(text, 'app-1.internal')).toEqual([disguise]))

  it.each(['', 'app-2.internal', 'app 1 internal', 'nothing', base64('nothing at all')])(
    '%j does not',
    (text) => expect(found(text, 'app-1.internal')).toEqual([]),
  )

  it('that is short is a word of its own', () => {
    expect(found('db: db', 'db')).toEqual(['as it is'])
    expect(found('adb dbx feedback', 'db')).toEqual([])
  })
})

describe('an address', () => {
  it.each([
    ['10.20.0.5:80', 'as it is'],
    ['ip-10-20-0-5.ec2', 'with other marks between'],
    ['10_20_0_5', 'with other marks between'],
    ['BIGip=83891210.36895.0000', 'as a decimal number of swapped bytes'],
    ['169082885', 'as a decimal number'],
    ['http://0x0a140005/', 'as a hexadecimal number'],
    ['0A140005', 'as a hexadecimal number'],
    ['012.024.0.05', 'with octal parts'],
    ['01205000005', 'as an octal number'],
    ['010.020.000.005', 'with leading zeros'],
    ['0xa.0x14.0x0.0x5', 'with hexadecimal parts'],
    ['5.0.20.10.in-addr.arpa', 'with its parts backwards'],
    ['[::ffff:a14:5]', 'as IPv6'],
    ['::ffff:10.20.0.5', 'as it is'],
    [`s=${base64('10.20.0.5')}`, 'in base64'],
    ['5.0.02.01', 'backwards'],
  ])('%s shows it %s', (text, disguise) => expect(found(text, '10.20.0.5')).toEqual([disguise]))

  it.each(['10.20.0.50', '110.20.0.5', '10.20.0.6', '1690828850', '0x0a1400055'])('%s does not', (text) =>
    expect(found(text, '10.20.0.5')).toEqual([]),
  )

  it.each([
    ['for=[fd00::5]', 'as it is'],
    ['FD00::5', 'in another case'],
    ['fd00:0000:0000:0000:0000:0000:0000:0005', 'with all its digits'],
    ['fd00:0:0:0:0:0:0:5', 'with all its digits'],
    ['fd000000000000000000000000000005', 'as a hexadecimal number'],
  ])('of IPv6: %s shows it %s', (text, disguise) => expect(found(text, 'fd00::5')).toEqual([disguise]))
})

describe('a URL', () => {
  it('stands for its name, its authority and its port', () => {
    expect(found('by app-1.internal', 'http://app-1.internal:3000')).toHaveLength(1)
    expect(found('upstream :3000', 'http://app-1.internal:3000')).toHaveLength(1)
    expect(found('app-1.internal:3000', 'http://app-1.internal:3000')).toHaveLength(3)
    expect(found('127.0.0.1:3000', 'http://127.0.0.1:3000')).toHaveLength(2)
    expect(found('/run/app.sock', 'unix:/run/app.sock')).toEqual(['as it is'])
  })

  it('of this machine, and of the public name, only with its port', () => {
    expect(found('you are 127.0.0.1', 'http://127.0.0.1:3000')).toEqual([])
    expect(found('public.example', 'http://public.example:3000')).toEqual([])
    expect(found('public.example', 'http://public.example')).toEqual(['as it is'])
  })

  it('has a port that is a number by itself', () => {
    for (const text of ['13000', '3000ms', 'a3000', '1.3000', 'x-3000-y', '3000.5'])
      expect(found(text, 'http://127.0.0.1:3000')).toEqual([])
    const secrets = secretsOf('http://127.0.0.1:3000', 'public.example')
    expect(findSecrets('content-length: 3000', secrets, true)).toEqual([])
    expect(findSecrets('x: 3000', secrets)).toHaveLength(1)
  })
})

it('each secret is told once, with what stands around', () => {
  const text = `${'x'.repeat(50)} app-1.internal app-1.internal ${'y'.repeat(50)}`
  const [only, ...more] = findSecrets(text, secretsOf('app-1.internal', ''))
  expect(more).toEqual([])
  expect(only?.shown).toBe(`…${'x'.repeat(29)} app-1.internal app-1.internal ${'y'.repeat(14)}…`)
})
