import type { EndpointSlice, EndpointSlices } from './endpoint-slices.js'

/** A slice is some hundred kilobytes at most; a line that goes on and on is none. */
const longestLine = 16 * 1_048_576

/** The version to watch from is too old for the server, which has forgotten what came after it: 410 Gone. */
export class WatchGone extends Error {
  constructor() {
    super('the resource version is gone (410)')
  }
}

interface WatchEvent {
  type?: string
  object?: EndpointSlice & { code?: number; message?: string }
}

/**
 * The events of one watch: a line of JSON each
 * (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes).
 */
export class WatchEvents {
  /** How many there were. */
  count = 0
  /** When the server began to answer; undefined if it has refused, or has not answered. */
  opened: number | undefined = undefined
  /** It has brought what can't be read, or an error of the server's: where it stood is not to be trusted. */
  failed = false
  private rest = ''

  /** @param version that of the list, then of the last event */
  constructor(
    private readonly slices: EndpointSlices,
    public version: string,
  ) {}

  /**
   * Takes a piece of the stream.
   * @returns whether slices have changed
   * @throws WatchGone for an event that says so, Error for any other error and for what is no event
   */
  take(text: string): boolean {
    const lines = (this.rest + text).split('\n')
    this.rest = lines.pop() ?? ''
    if (this.rest.length > longestLine) return this.fail(new Error('an event is too long'))
    let changed = false
    for (const line of lines) if (line.trim() !== '' && this.apply(this.parse(line))) changed = true
    return changed
  }

  private parse(line: string): WatchEvent {
    try {
      return (JSON.parse(line) as WatchEvent | null) ?? {}
    } catch {
      return this.fail(new Error('the watch has brought what is no JSON'))
    }
  }

  private apply({ type, object = {} }: WatchEvent): boolean {
    if (type === 'ERROR')
      return this.fail(
        object.code === 410
          ? new WatchGone()
          : new Error(`the watch ended with ${object.code}: ${object.message}`),
      )
    this.count++
    const { resourceVersion } = object.metadata ?? {}
    if (typeof resourceVersion === 'string') this.version = resourceVersion
    if (type === 'ADDED' || type === 'MODIFIED') this.slices.put(object)
    else if (type === 'DELETED') this.slices.remove(object)
    // A bookmark brings nothing but its version; of other kinds nothing is known.
    return type !== 'BOOKMARK'
  }

  private fail(error: Error): never {
    this.failed = true
    throw error
  }
}
