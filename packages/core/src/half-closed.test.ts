import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { watchHalfClosed } from './half-closed.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** A connection as far as it is looked at, with a response that begins when the test says so. */
class Connection extends EventEmitter {
  bytesWritten = 0
  writableLength = 0
  destroyed = false
  _httpMessage = { headersSent: false, socket: null }

  destroy(): void {
    this.destroyed = true
  }
}

function halfClosed(): Connection {
  const connection = new Connection()
  watchHalfClosed(connection as unknown as Socket)
  connection.emit('end')
  return connection
}

it('an answer that has just been made is not cut: its bytes come to the socket later', () => {
  const connection = halfClosed()
  vi.advanceTimersByTime(200)
  connection._httpMessage.headersSent = true
  vi.advanceTimersByTime(60)
  expect(connection.destroyed).toBe(false)
  connection.bytesWritten = 100
  vi.advanceTimersByTime(250)
  expect(connection.destroyed).toBe(false)
})

it('an answer of which nothing moves from look to look ends the connection', () => {
  const connection = halfClosed()
  connection._httpMessage.headersSent = true
  connection.bytesWritten = 100
  vi.advanceTimersByTime(250)
  expect(connection.destroyed).toBe(false)
  vi.advanceTimersByTime(250)
  expect(connection.destroyed).toBe(true)
})

it('an answer that follows another one has its own time', () => {
  const connection = halfClosed()
  connection._httpMessage.headersSent = true
  vi.advanceTimersByTime(250)
  connection._httpMessage = { headersSent: true, socket: null }
  vi.advanceTimersByTime(250)
  expect(connection.destroyed).toBe(false)
  vi.advanceTimersByTime(250)
  expect(connection.destroyed).toBe(true)
})
