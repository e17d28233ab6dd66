import { ApiRefusal } from './api-client.js'
import type { Seams } from './discovery-options.js'
import { type EndpointSlice, EndpointSlices, type SliceSettings } from './endpoint-slices.js'
import { type Feed, messageOf } from './feed.js'
import type { KubernetesApi } from './kubernetes-api.js'
import { WatchEvents, WatchGone } from './watch-events.js'

/** Which slices, and how long to wait for them, in ms. */
interface ServiceSettings extends SliceSettings {
  readonly service: string
  readonly namespace?: string | undefined
  readonly watch: number
  readonly pause: number
  readonly api: { readonly timeout: number }
  readonly retry: { readonly max: number }
}

interface SliceList {
  items?: readonly EndpointSlice[] | null
  metadata?: { continue?: string; resourceVersion?: string }
}

/** Slices in one answer to a list: some 60 kB each, with the hundred endpoints that they have by default. */
const pageSize = 100

/** A watch that has brought something, or has been open for that long, did work, however it ends. In ms. */
const worked = 1_000

/**
 * The slices of a Service as the API server tells of them.
 *
 * ──▶ list ──resourceVersion──▶ watch ──its time is over, its connection breaks, nobody answers──▶ watch from the last version seen
 *       ▲                         │
 *       └── 410 Gone, a fault ◀───┘
 */
export class ServiceSlices {
  private readonly slices = new EndpointSlices()
  /** Where to watch from; undefined: list first. */
  private version: string | undefined = undefined
  private resource: string | undefined = undefined
  private delivered = Number.NEGATIVE_INFINITY
  /** Takes back the delivery that is due. */
  private cancel: (() => void) | undefined = undefined

  constructor(
    private readonly api: KubernetesApi,
    private readonly settings: ServiceSettings,
    private readonly feed: Feed,
    private readonly seams: Seams,
  ) {}

  /**
   * One watch, from its beginning to its end, after a list where one is due. Resolves with the pause until the next.
   * @param works tells that the server does, though the round may fail
   */
  async round(signal: AbortSignal, works: () => void): Promise<number> {
    const { now, random } = this.seams
    const resumed = this.version !== undefined
    const events = new WatchEvents(this.slices, this.version ?? (await this.list(signal)))
    const lively = (): boolean =>
      events.count > 0 || (events.opened !== undefined && now() - events.opened >= worked)
    // Unless what goes wrong from here on is known to be harmless: from the beginning.
    this.version = undefined
    try {
      await this.follow(events, signal)
      if (!lively()) throw new Error('the watch ended at once')
      this.version = events.version
    } catch (error) {
      // What fails after that is no further failure in a row: it is told anew, and waited for as after the first.
      if (events.opened !== undefined && now() - events.opened >= this.settings.retry.max) works()
      // The server is away, or too busy for a moment. All proxies that come back to list would keep it so.
      if (events.opened === undefined && isAway(error)) {
        this.version = events.version
        throw error
      }
      if (error instanceof WatchGone) {
        // After a long silence that is what happens; right after a list it must not.
        if (!resumed && !lively()) throw error
      } else if (lively() && !events.failed) this.version = events.version
      else throw error
      this.feed.note(`watches anew: ${messageOf(error)}`)
    }
    return worked * random()
  }

  private async list(signal: AbortSignal): Promise<string> {
    const resource = await this.path()
    const found: EndpointSlice[] = []
    let page: string | undefined
    for (;;) {
      const query = new URLSearchParams({
        limit: String(pageSize),
        ...(page === undefined ? {} : { continue: page }),
      })
      const path = `${resource}&${query}`
      const answer = await this.api.ask({ path, timeout: this.settings.api.timeout, signal }, this.seams)
      if (answer.status !== 200) throw new ApiRefusal(path, answer)
      const { items, metadata } = JSON.parse(answer.text) as SliceList
      found.push(...(items ?? []))
      page = metadata?.continue === '' ? undefined : metadata?.continue
      if (page !== undefined) continue
      if (typeof metadata?.resourceVersion !== 'string')
        throw new Error('the answer is no list of EndpointSlices')
      this.slices.reset(found)
      this.deliver()
      return metadata.resourceVersion
    }
  }

  /** Until the watch ends. What it has brought by then is in `events`. */
  private async follow(events: WatchEvents, signal: AbortSignal): Promise<void> {
    const { api, seams, settings } = this
    // Up to twice as long, as Kubernetes' own clients do it, so that not all of them come back together.
    const seconds = Math.round((settings.watch / 1_000) * (1 + seams.random()))
    const query = new URLSearchParams({
      watch: '1',
      allowWatchBookmarks: 'true',
      resourceVersion: events.version,
      timeoutSeconds: String(seconds),
    })
    const path = `${await this.path()}&${query}`
    const take = (text: string): void => {
      if (events.take(text)) this.deliverSoon(signal)
    }
    const answered = (status: number): void => {
      if (status === 200) events.opened = seams.now()
    }
    const timeout = seconds * 1_000 + settings.api.timeout
    const answer = await api.ask({ path, timeout, signal, take, answered }, seams)
    if (answer.status === 410) throw new WatchGone()
    if (answer.status !== 200) throw new ApiRefusal(path, answer)
  }

  /** At once, or when the pause since the last delivery is over: then what is there by that time. */
  private deliverSoon(signal: AbortSignal): void {
    if (this.cancel !== undefined) return
    const pause = this.delivered + this.settings.pause - this.seams.now()
    if (pause <= 0) return this.deliver()
    const undo = this.seams.after(pause, () => this.deliver())
    this.cancel = () => {
      signal.removeEventListener('abort', undo)
      undo()
    }
    signal.addEventListener('abort', undo)
  }

  private deliver(): void {
    this.cancel?.()
    this.cancel = undefined
    this.delivered = this.seams.now()
    this.feed.deliverFit(...this.slices.targets(this.settings))
  }

  private async path(): Promise<string> {
    if (this.resource === undefined) {
      const { namespace = await this.api.namespace(), service } = this.settings
      const selector = new URLSearchParams({ labelSelector: `kubernetes.io/service-name=${service}` })
      this.resource = `/apis/discovery.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/endpointslices?${selector}`
    }
    return this.resource
  }
}

/** No answer at all, or one that has nothing to do with what was asked. What is wrong with that, if anything, is told by 410. */
function isAway(error: unknown): boolean {
  if (error instanceof WatchGone) return false
  return !(error instanceof ApiRefusal) || [429, 502, 503].includes(error.status)
}
