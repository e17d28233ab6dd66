import { dial, http2Transport, type Transport, wireTransport } from '@sluice/forward'
import type { UpstreamOptions } from './proxy-options.js'

/** How an upstream's targets are spoken to. */
export interface Transports {
  /** Each request goes to the first one that can carry it. */
  readonly inOrder: readonly Transport[]
  /** Opens connections as they do: for probes, which are to reach what requests reach. */
  readonly dial: ReturnType<typeof dial>
  /** Those that are the proxy's own, hence the proxy's to close. */
  readonly owned: readonly Transport[]
}

/** The transports that an upstream's options ask for. */
export function transportsOf(options: UpstreamOptions): Transports {
  const { connections, http2 = false, proxyProtocol, transport, connect } = options
  const given: readonly Transport[] = transport === undefined ? [] : [transport].flat()
  // What a transport of the user's can't carry must not get past its hook.
  const hook = connect ?? given.find((each) => each.connect !== undefined)?.connect
  const dialled = dial({ connect: hook, proxyProtocol })
  // A list is taken as it is: whoever gives a dispatcher, that of a proxy on the way, may want nothing to go past it.
  if (Array.isArray(transport)) return { inOrder: given, owned: [], dial: dialled }
  const limits = {
    ...(connections === undefined ? {} : { connections }),
    ...(hook === undefined ? {} : { connect: hook }),
  }
  const wire = wireTransport({
    ...limits,
    ...(proxyProtocol === undefined ? {} : { proxyProtocol }),
  })
  if (transport !== undefined) return { inOrder: [...given, wire], owned: [wire], dial: dialled }
  if (http2 === false) return { inOrder: [wire], owned: [wire], dial: dialled }
  const both = [http2Transport({ mode: http2, ...limits }), wire]
  return { inOrder: both, owned: both, dial: dialled }
}
