import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { expect, it } from 'vitest'
import { heapInUse } from '../../../test/kit/heap.js'
import { Deadlines } from './deadlines.js'
import { readTurns } from './read-turns.js'
import { WireConnection } from './wire-connection.js'
import type { WireExchange } from './wire-exchange.js'

/** A connection whose writes fail, as those to a target that has closed, with one exchange on it. */
function failing(): { connection: WireConnection; told: string[]; answer(text: string): void } {
  const told: string[] = []
  const connection = new WireConnection(
    {
      deadlines: new Deadlines(),
      released: () => told.push('released'),
      gone: () => told.push('gone'),
    },
    false,
  )
  const socket = new Duplex({
    read() {},
    write: (_chunk, _encoding, done) => done(Object.assign(new Error('EPIPE'), { syscall: 'write' })),
  })
  connection.open(socket as Socket)
  connection.send({
    method: 'POST',
    upgrade: false,
    start: () => socket.write('the last of the request'),
    answered() {},
    moved() {},
    complete: () => connection.release(),
  } as unknown as WireExchange)
  return {
    connection,
    told,
    answer: (text) => void connection.into.callback(connection.into.buffer().write(text)),
  }
}

it('serves no other request when a write has failed, though the answer was whole', async () => {
  const { connection, told, answer } = failing()
  await new Promise(process.nextTick)
  expect(connection.socket.destroyed).toBe(false)
  answer('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  expect(connection.socket.destroyed).toBe(true)
  await new Promise(process.nextTick)
  expect(told).toEqual(['gone'])
})

it('is not held with its buffer by a deadline that it had', async () => {
  const deadlines = new Deadlines()
  const closed = async (): Promise<WeakRef<object>> => {
    const connection = new WireConnection({ deadlines, released() {}, gone() {} }, false)
    const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
    connection.open(socket as Socket)
    deadlines.set(connection.deadline, 60_000)
    socket.destroy()
    await new Promise((resolve) => socket.once('close', resolve))
    return new WeakRef(connection)
  }
  const ref = await closed()
  await heapInUse()
  expect(ref.deref()).toBeUndefined()
  deadlines.close()
})

it('shares a turn over TLS, too, where a read is a record and fills no large buffer', async () => {
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  const connection = new WireConnection({ deadlines: new Deadlines(), released() {}, gone() {} }, true)
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  let resumed = 0
  socket.resume = () => {
    resumed++
    return socket
  }
  connection.open(socket as unknown as Socket)
  const exchange = {
    method: 'GET',
    upgrade: false,
    start() {},
    answered() {},
    moved() {},
    failed() {},
    received: () => true,
  }
  connection.send(exchange as unknown as WireExchange)
  const record = (text: string): boolean => {
    connection.into.buffer().write(text.padEnd(16 * 1024, 'x'))
    return connection.into.callback(16 * 1024)
  }
  const began = record('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n')
  await turn()
  // What others have read has used the turn up.
  readTurns.mayReadOn({ readOn() {} }, readTurns.now() - 1_000)
  await new Promise(process.nextTick)
  const stopped = record('')
  // It comes all the same, and must not wait twice.
  const behind = record('')
  await turn()
  await turn()
  expect([began, stopped, behind, resumed]).toEqual([true, false, false, 1])
  socket.destroy()
})
