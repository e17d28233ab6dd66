import { ProxyError } from '@sluice/core'
import { isFieldName, isFieldValue } from '@sluice/headers'
import { describe, expect, it } from 'vitest'
import { endOfValue, isFraming, readFieldLines } from './wire-field-lines.js'

function fields(text: string, at = 0, end = text.length): string[] {
  const list: string[] = []
  // Both the bytes and the text may begin before the lines, and not at the same place.
  readFieldLines(Buffer.from(`>>>${text}`, 'latin1'), at + 3, end + 3, text, 3, list)
  return list
}

const all = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code))
const accepted = (test: (char: string) => boolean): string => all.filter(test).join('')

function isRead(text: string): boolean {
  try {
    fields(text)
    return true
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error
    return false
  }
}

describe('which bytes may stand where, of all there are', () => {
  it('names are tokens (RFC 9110 section 5.6.2)', () => {
    const tokens = "!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~"
    expect(accepted((char) => isRead(`${char}: v\r\n`))).toBe(tokens)
    expect(accepted((char) => isRead(`n${char}: v\r\n`)).replace(':', '')).toBe(tokens)
    expect(accepted(isFieldName)).toBe(tokens)
    expect(['', 'a b', 'aé', 'aŁ'].some(isFieldName)).toBe(false)
  })

  it('values hold a tab, blanks, visible characters and bytes above ASCII (section 5.5)', () => {
    const values = accepted((char) => char === '\t' || (char >= ' ' && char !== '\x7f'))
    expect(accepted((char) => isRead(`n: ${char}\r\n`))).toBe(values)
    expect(accepted((char) => isRead(`n: a${char}b\r\n`))).toBe(values)
    expect(accepted(isFieldValue)).toBe(values)
    expect(accepted((char) => endOfValue(Buffer.from(char, 'latin1'), 0) === 1)).toBe(values)
    expect([isFieldValue(''), isFieldValue('aŁ'), isFieldValue('a\r\nb')]).toEqual([true, false, false])
  })
})

it('reads what lies between two places, and nothing else', () => {
  const text = 'x: 1\r\na:b\r\nC: \t d e \t\r\nf:\r\ny 2'
  expect(fields(text, 6, text.length - 3)).toEqual(['a', 'b', 'C', 'd e', 'f', ''])
  expect(fields(text, 6, 6)).toEqual([])
})

it.each(['a', 'a:', 'a: b', 'a: b\r', 'a: b\n', 'a: b\r\nc', ' a: b\r\n', 'a : b\r\n', 'a: b\r\n c\r\n'])(
  '%j is no field line',
  (text) => {
    expect(() => fields(text)).toThrow(ProxyError)
  },
)

it('a line that was refused is told in part', () => {
  expect(() => fields(`a b: ${'x'.repeat(500)}\r\n`)).toThrow(/^a line that is no field: "a b: x{55}"$/)
  expect(() => fields(' a: b\r\n')).toThrow(/obs-fold/)
})

it('a tab is blank space, but not beside what frames a message', () => {
  expect(fields('a:\tb\t\r\nContent-Lengthy:\t1\t\r\n')).toEqual(['a', 'b', 'Content-Lengthy', '1'])
  for (const line of ['Content-Length:\t1', 'content-length: 1\t', 'TRANSFER-ENCODING: chunked \t '])
    expect(() => fields(`${line}\r\n`)).toThrow(/a tab/)
})

it('knows what frames a message', () => {
  expect(['content-length', 'Content-Length', 'TRANSFER-encoding'].every(isFraming)).toBe(true)
  expect(['content-lengt', 'content-lengti', 'transfer-encodinG ', 'te', ''].some(isFraming)).toBe(false)
})
