import { getDefaultAutoSelectFamilyAttemptTimeout, type Socket } from 'node:net'
import { connectionKey, type Target } from '@sluice/upstream'

/** As long as any address may have, in ms: half of what a connection has by default, so that there is time for another one. */
const most = 1_000

/** Of targets that have needed more than Node's own time, in ms; by {@link connectionKey}. */
const learned = new WeakMap<object, number>()

/**
 * How long each address of a target's name but the last may take to connect, in ms, as Node's `autoSelectFamilyAttemptTimeout`. Node gives up an address
 * that takes longer for good, where RFC 8305 section 5 only begins with the next one beside it: behind a long line, a lost packet or a moment
 * in which this process did something else, one that works is given up for one that doesn't.
 */
export function addressPatience(target: Target): number {
  return learned.get(connectionKey(target)) ?? getDefaultAutoSelectFamilyAttemptTimeout()
}

/**
 * Learns from how a connection to a target ends up. None stands, and some address was given up before its time: each gets twice as long at the next
 * try. One stands behind another that was given up: as at first, for else each connection would wait for one that is dead.
 */
export function learnPatience(socket: Socket, target: Target): void {
  let hasGivenUp = false
  let stands = false
  socket.on('connectionAttemptTimeout', () => {
    hasGivenUp = true
  })
  socket.once('connect', () => {
    stands = true
    if (hasGivenUp) learned.delete(connectionKey(target))
  })
  socket.once('close', () => {
    if (hasGivenUp && !stands) learned.set(connectionKey(target), Math.min(2 * addressPatience(target), most))
  })
}
