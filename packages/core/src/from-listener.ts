import type { ServerResponse } from 'node:http'
import { needFunction } from '@sluice/options'
import type { Handler } from './chain.js'
import type { Reply } from './reply.js'
import { standInRequest } from './stand-in-request.js'
import { StandIn } from './stand-in-response.js'

/** Any listener of Node's: a function, an Express or Connect app. */
// biome-ignore lint/suspicious/noExplicitAny: listeners are typed by each framework in its own way
export type AnyListener = (req: any, res: any) => unknown

/**
 * A listener as the end of a chain: layers stand in front of an app, with no proxy at all. It gets `ctx.req`, with the body that layers have made of
 * the client's, and a response that becomes the reply; the bytes stream. What it throws becomes 500.
 */
export function fromListener(listener: AnyListener): Handler {
  needFunction(listener, 'fromListener', 'a listener')
  return (ctx) =>
    new Promise<Reply>((resolve, reject) => {
      const standIn = new StandIn(ctx, resolve, reject)
      call(standIn, () => listener(standInRequest(ctx, standIn), standIn.res as ServerResponse))
    })
}

/** Calls code of others: what it throws, now or later, is the response's failure. */
export function call(standIn: StandIn, code: () => unknown): void {
  try {
    const result = code()
    if (result instanceof Promise) result.catch((error: unknown) => standIn.fail(error))
  } catch (error) {
    standIn.fail(error)
  }
}
