import { expect, it } from 'vitest'
import { sendAgain } from './http2-again.js'

const request = { again: 0, method: 'POST', unprocessed: false, untouched: true }
const connection = { lost: false, served: 1, goaway: undefined }
const calm = { code: 11, last: 1 }

it.each([
  ['what was not processed', 'over HTTP/2', { unprocessed: true }, {}, 7],
  ['for the second time', 'over HTTP/2', { unprocessed: true, again: 1 }, {}, 7],
  ['for the third time', 'not', { unprocessed: true, again: 2 }, {}, 7],
  ['to one that asks for calm', 'not', { unprocessed: true }, { goaway: calm }, 7],
  ['what may have been processed', 'not', {}, {}, 2],
  ['what is safe and met a dead connection', 'over HTTP/2', { method: 'GET' }, { lost: true }, 8],
  ['the same again', 'not', { method: 'GET', again: 1 }, { lost: true }, 8],
  ['what is not safe', 'not', {}, { lost: true }, 8],
  ['what had an informational response', 'not', { method: 'GET', untouched: false }, { lost: true }, 8],
  ['on a connection that never served', 'not', { method: 'GET' }, { lost: true, served: 0 }, 8],
  ['what was reset on a connection that lives', 'not', { method: 'GET' }, {}, 8],
  ['what wants HTTP/1.1', 'over HTTP/1.1', {}, {}, 13],
] as const)('sends again %s: %s', (_what, how, more, state, rstCode) => {
  expect(sendAgain({ ...request, ...more }, { rstCode }, { ...connection, ...state })).toBe(how)
})
