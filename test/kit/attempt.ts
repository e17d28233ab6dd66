import { type BodyInit, type Outbound, PushBody, type Reply, toBody } from '@sluice/core'
import { type Attempt, resolveTimeouts, type TimeoutOptions, type Transport } from '@sluice/forward'
import { createUpstream, type Target, type TargetInit } from '@sluice/upstream'

/** A target by itself. */
export function targetOf(init: TargetInit): Target {
  return createUpstream({ name: 'test', targets: [init] }).all[0] as Target
}

/** One attempt of a transport, with no chain around. */
export function send(
  transport: Transport,
  target: Target,
  out: Partial<Outbound> = {},
  timeouts: TimeoutOptions = {},
  more: Partial<Attempt> = {},
): Promise<Reply> {
  return transport.send({
    target,
    out: { method: 'GET', path: '/', headers: [], body: null, ...out },
    timeouts: resolveTimeouts(timeouts),
    inform() {},
    ...more,
  })
}

/** All of a body as text; rejects if it isn't whole. */
export async function textOf(body: BodyInit): Promise<string> {
  const stream = toBody(body)?.readable()
  let all = ''
  if (stream !== undefined) for await (const chunk of stream) all += String(chunk)
  return all
}

/** Sends, and reads the body of the reply. */
export async function ask(...args: Parameters<typeof send>): Promise<string> {
  return textOf((await send(...args)).body)
}

/** A body that the test writes. */
export class WrittenBody extends PushBody {
  /** Why it was stopped, once it was. */
  stopped: Error | undefined = undefined

  write(text: string): boolean {
    return this.push(Buffer.from(text))
  }

  done(trailers?: string[]): void {
    this.finish(trailers)
  }

  break(error: Error): void {
    this.fail(error)
  }

  protected resume(): void {}

  protected stop(why: Error): void {
    this.stopped = why
  }
}
