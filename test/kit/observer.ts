import { type Middleware, type Outcome, ProxyError } from '@sluice/core'
import { until } from './until.js'

/** A layer that remembers how exchanges fared. */
export interface Observer {
  readonly layer: Middleware
  /** Codes of the errors that came out of the layers below, in order. */
  readonly codes: string[]
  readonly outcomes: Outcome[]
  /** The outcome number `index`, as soon as it is there. */
  outcome(index?: number): Promise<Outcome>
}

export function observer(): Observer {
  const codes: string[] = []
  const outcomes: Outcome[] = []
  return {
    codes,
    outcomes,
    outcome: (index = 0) => until(() => outcomes[index], `the end of exchange ${index}`),
    layer: (next) => async (ctx) => {
      ctx.onClose((outcome) => void outcomes.push(outcome))
      try {
        return await next(ctx)
      } catch (error) {
        codes.push(error instanceof ProxyError ? error.code : String(error))
        throw error
      }
    },
  }
}
