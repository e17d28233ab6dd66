import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { expect, it } from 'vitest'
import { heapInUse } from '../../../test/kit/heap.js'
import { Deadlines } from './deadlines.js'
import { WireConnection } from './wire-connection.js'
import type { WireExchange } from './wire-exchange.js'

/** A connection whose writes fail, as those to a target that has closed, with one exchange on it. */
function failing(): { connection: WireConnection; told: string[]; answer(text: string): void } {
  const told: string[] = []
  const connection = new WireConnection({
    deadlines: new Deadlines(),
    released: () => told.push('released'),
    gone: () => told.push('gone'),
  })
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
    const connection = new WireConnection({ deadlines, released() {}, gone() {} })
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
