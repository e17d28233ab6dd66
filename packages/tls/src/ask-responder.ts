import type { OcspFetch } from './ocsp-fetch.js'
import type { OcspAnswered, OcspSeams } from './ocsp-staple.js'
import type { Turns } from './turns.js'

/** How responders are asked. */
export interface AskSettings {
  readonly fetch: OcspFetch
  /** For the whole answer, in ms, from when it is its turn. */
  readonly timeout: number
  readonly turns: Turns
  readonly seams: OcspSeams
}

/** With an ASN.1 parser, which takes 80 ms to load. */
function loadExchange(): Promise<typeof import('./ocsp-exchange.js')> {
  return import('./ocsp-exchange.js')
}

/**
 * Loads what asking takes, while there are files to open: what a question that finds none has failed to load, those after it may not get until
 * a restart, and staples run out.
 */
export function prepareToAsk(): void {
  // Whoever asks hears of it.
  loadExchange().catch(() => {})
}

/**
 * Asks a certificate's responder once. Gives a text that says why where there is nothing to ask.
 * @throws Error that says what went wrong, or what is wrong with the answer
 */
export async function askResponder(
  certificate: Uint8Array,
  issuer: Uint8Array,
  signal: AbortSignal,
  { fetch, timeout, turns, seams }: AskSettings,
): Promise<OcspAnswered | string> {
  const { ocspExchange } = await loadExchange()
  const exchange = ocspExchange(certificate, issuer)
  if (typeof exchange === 'string') return exchange
  const { url, question } = exchange
  const ask = (within: AbortSignal): Promise<Uint8Array> => fetch(new URL(url), question, within)
  try {
    const response = await turns.run(() => inTime(ask, timeout, signal, seams))
    return { ...exchange.read(response, seams.clock()), response: Buffer.from(response) }
  } catch (error) {
    throw new Error(`${url.href}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  }
}

/** What `ask` gives; rejects after `timeout`, and where `signal` aborts, also if `ask` doesn't heed its own. */
async function inTime<T>(
  ask: (signal: AbortSignal) => Promise<T>,
  timeout: number,
  signal: AbortSignal,
  { after }: OcspSeams,
): Promise<T> {
  signal.throwIfAborted()
  const stop = new AbortController()
  let end!: (why: string) => void
  const ended = new Promise<never>((_, reject) => {
    end = (why) => {
      reject(new Error(why))
      stop.abort()
    }
  })
  const cancel = after(timeout, () => end(`no answer within ${timeout} ms`))
  const closed = (): void => end('closed')
  signal.addEventListener('abort', closed, { once: true })
  try {
    return await Promise.race([ask(stop.signal), ended])
  } finally {
    cancel()
    signal.removeEventListener('abort', closed)
  }
}
