import { clientBody, type Middleware, toBody } from '@sluice/core'
import { get, type HeaderList } from '@sluice/headers'
import { parse, type Size, size } from '@sluice/options'
import { BufferedBody } from './buffered-body.js'
import { isGrpcCall } from './is-grpc-call.js'

/**
 * Waits for the body of a request before anybody behind it hears of the request: until it is whole, or so many bytes of it have come, and the rest
 * follows as it comes. So a client that sends in drips holds no connection and no worker of a target, what it sends is one write and not many,
 * and a body without a length that fits goes on with one. It belongs behind what refuses and what caches, and ahead of retries and balancing.
 *
 * Whoever sends a part of its body and waits for an answer to it would wait for ever: such conversations need a route without it. Calls of gRPC (over
 * HTTP/2, with `TE: trailers` and no length) are let be, and so is a client that asks whether to send its body at all: that is for the target to say (RFC 9110 section 10.1.1).
 * @param most bytes, or a text such as `'16kb'`: each request that waits may hold as many; 0: nothing is waited for
 * @param path where the option stands in what a user wrote
 * @param grpc false: nobody behind it speaks gRPC, so who claims to is waited for like anybody. Default true
 * @throws TypeError for what is no size
 */
export function bodyBuffer(most: Size, path = 'bodyBuffer', grpc = true): Middleware {
  const bytes = parse(size(), most, path)
  if (bytes === 0) return (next) => next
  return (next) => (ctx) => {
    const { out } = ctx
    if (out.body === null || clientBody(out.body)?.isExpected === true) return next(ctx)
    if (grpc && ctx.req.httpVersionMajor === 2 && talks(out.headers)) return next(ctx)
    const body = toBody(out.body)
    if (body === null) return next(ctx)
    const buffered = new BufferedBody(body, bytes)
    out.body = buffered
    return filled(buffered, () => next(ctx))
  }
}

function talks(headers: HeaderList): boolean {
  return isGrpcCall(get(headers, 'content-type'), get(headers, 'te'), get(headers, 'content-length'))
}

async function filled<T>(body: BufferedBody, then: () => T): Promise<Awaited<T>> {
  await body.fill()
  try {
    return await then()
  } finally {
    // Its client would wait for somebody to read the rest.
    if (!body.taken) body.cancel()
  }
}
