import type { Socket } from 'node:net'
import type { Outcome } from '@sluice/core'
import type { WireExchange } from './wire-exchange.js'

// What comes later in an exchange: functions that are given it, since a closure for each request costs more.

/** The attempt that it belongs to is over. */
export function attemptClosed(end: Outcome, exchange: WireExchange): void {
  exchange.close(end)
}

/** The event loop's turn has ended: its request goes out. */
export function sendWhole(exchange: WireExchange): void {
  exchange.sendWhole()
}

/** The parts of a body that came in one turn go out in one write. */
export function uncork(exchange: WireExchange, socket: Socket): void {
  socket.uncork()
  exchange.uploadLeft(socket)
}
