import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { TestCertificate } from './certificate.js'
import { until } from './until.js'

/** An endpoint as a test writes it; what is left out is left out, as in old clusters. */
export interface KubernetesEndpoint {
  address: string
  ready?: boolean | null
  serving?: boolean
  terminating?: boolean
  zone?: string
}

/** A slice as a test writes it. */
export interface KubernetesSlice {
  name: string
  endpoints: KubernetesEndpoint[] | null
  /** Default one, `http`, 8080. */
  ports?: { name?: string; port?: number | null; protocol?: string; appProtocol?: string }[] | null
  addressType?: string
}

/** A question as it came. */
export interface KubernetesQuery {
  readonly path: string
  readonly params: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly res: ServerResponse
  /** It has not been answered to its end yet. */
  readonly open: boolean
}

/** The API server of a cluster, as far as the EndpointSlices of one service go. */
export interface KubernetesServer {
  readonly url: string
  readonly port: number
  readonly queries: readonly KubernetesQuery[]
  /** Connections open now. */
  readonly sockets: number
  /** The version of the last change. */
  readonly version: number
  /** Adds a slice or changes it, and tells who watches. */
  put(slice: KubernetesSlice): void
  remove(name: string): void
  /** Tells those who watch the version, and nothing else. */
  bookmark(): void
  /** Forgets what changed up to a version: who watches from before it gets 410. */
  forget(version: number): void
  /** Ends all watches, as when their time is over. */
  endWatches(): void
  /** How 410 is told: by status, or by an event in a watch that has begun. Default the event, as API servers do. */
  goneBy: 'status' | 'event'
  /** Slices in a page, whatever is asked for. */
  pageSize: number
  /** What is answered instead, where it says that it has done so. */
  instead: ((query: KubernetesQuery) => boolean) | undefined
  /** Waits for the question of that number, from 0. */
  query(number: number): Promise<KubernetesQuery>
  /** Waits for the watch of that number, from 0. */
  watch(number: number): Promise<KubernetesQuery>
  close(): Promise<void>
}

/**
 * Starts one. The format is that of https://kubernetes.io/docs/reference/using-api/api-concepts/: a list with its resourceVersion, in
 * pages; a watch of one line of JSON an event, from the version asked for; ERROR events with a Status.
 */
export async function kubernetesServer(
  service: string,
  given: { namespace?: string; slices?: KubernetesSlice[]; tls?: TestCertificate; token?: () => string } = {},
): Promise<KubernetesServer> {
  const { namespace = 'default', slices = [], tls, token } = given
  const base = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`
  const now = new Map<string, object>()
  const events: { version: number; line: string }[] = []
  const queries: (KubernetesQuery & { open: boolean })[] = []
  const sockets = new Set<Socket>()
  let version = 100
  let forgotten = 0

  const objectOf = (slice: KubernetesSlice): object => sliceObject(slice, service, namespace, version)
  const watching = () => queries.filter(({ open, params }) => open && params.get('watch') === '1')
  const tell = (type: string, object: object): void => {
    const line = `${JSON.stringify({ type, object })}\n`
    if (type !== 'BOOKMARK') events.push({ version, line })
    for (const { res } of watching()) res.write(line)
  }
  for (const slice of slices) now.set(slice.name, objectOf(slice))

  const list = ({ params, res }: KubernetesQuery): void => {
    const begin = Number(params.get('continue') ?? 0)
    const size = Math.min(Number(params.get('limit') ?? 500), server.pageSize)
    const all = [...now.values()]
    const more = begin + size < all.length ? { continue: String(begin + size) } : {}
    json(res, 200, {
      kind: 'EndpointSliceList',
      apiVersion: 'discovery.k8s.io/v1',
      metadata: { resourceVersion: String(version), ...more },
      items: all.slice(begin, begin + size),
    })
  }
  const watch = ({ params, res }: KubernetesQuery): void => {
    const from = Number(params.get('resourceVersion'))
    if (from < forgotten) {
      const gone = status(410, 'Expired', `too old resource version: ${from} (${forgotten})`)
      if (server.goneBy === 'status') return json(res, 410, gone)
      res.writeHead(200, { 'Content-Type': 'application/json' })
      return void res.end(`${JSON.stringify({ type: 'ERROR', object: gone })}\n`)
    }
    res.writeHead(200, { 'Content-Type': 'application/json' })
    res.flushHeaders()
    for (const event of events) if (event.version > from) res.write(event.line)
  }
  const listener: RequestListener = (req, res) => {
    const { pathname: path, searchParams: params } = new URL(req.url ?? '', 'http://api')
    const query = { path, params, headers: req.headers, res, open: true }
    res.on('close', () => {
      query.open = false
    })
    queries.push(query)
    if (server.instead?.(query) === true) return
    if (token !== undefined && req.headers.authorization !== `Bearer ${token()}`)
      return json(res, 401, status(401, 'Unauthorized', 'Unauthorized'))
    if (path !== base || params.get('labelSelector') !== `kubernetes.io/service-name=${service}`)
      return json(res, 403, status(403, 'Forbidden', `endpointslices is forbidden: ${path}`))
    if (params.get('watch') === '1') watch(query)
    else list(query)
  }
  const http = tls === undefined ? createServer(listener) : createTlsServer(tls, listener)
  http.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const { port } = http.address() as AddressInfo
  const server: KubernetesServer = {
    url: `http${tls === undefined ? '' : 's'}://127.0.0.1:${port}`,
    port,
    queries,
    get sockets() {
      return sockets.size
    },
    get version() {
      return version
    },
    put(slice) {
      version++
      const type = now.has(slice.name) ? 'MODIFIED' : 'ADDED'
      const object = objectOf(slice)
      now.set(slice.name, object)
      tell(type, object)
    },
    remove(name) {
      version++
      const object = now.get(name) as { metadata: object }
      now.delete(name)
      tell('DELETED', { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } })
    },
    bookmark() {
      version++
      const metadata = { resourceVersion: String(version), creationTimestamp: null }
      tell('BOOKMARK', {
        kind: 'EndpointSlice',
        apiVersion: 'discovery.k8s.io/v1',
        metadata,
        endpoints: null,
        ports: null,
      })
    },
    forget(before) {
      forgotten = before
    },
    endWatches() {
      for (const { res } of watching()) res.end()
    },
    goneBy: 'event',
    pageSize: 500,
    instead: undefined,
    query: (number) => until(() => queries[number], `question ${number} to Kubernetes`),
    watch: (number) =>
      until(() => queries.filter(({ params }) => params.get('watch') === '1')[number], `watch ${number}`),
    close: () =>
      new Promise((resolve) => {
        http.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
  return server
}

function sliceObject(
  { name, endpoints, ports = [{ name: 'http', port: 8080 }], addressType = 'IPv4' }: KubernetesSlice,
  service: string,
  namespace: string,
  version: number,
): object {
  return {
    kind: 'EndpointSlice',
    apiVersion: 'discovery.k8s.io/v1',
    metadata: {
      name,
      namespace,
      resourceVersion: String(version),
      labels: { 'kubernetes.io/service-name': service },
    },
    addressType,
    endpoints:
      endpoints?.map(({ address, zone, ...conditions }, i) => ({
        addresses: [address],
        conditions,
        ...(zone === undefined ? {} : { zone }),
        nodeName: `node-${i}`,
        targetRef: { kind: 'Pod', namespace, name: `${name}-${i}` },
      })) ?? null,
    ports: ports?.map((port) => ({ protocol: 'TCP', ...port })) ?? null,
  }
}

function status(code: number, reason: string, message: string): object {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code }
}

function json(res: ServerResponse, code: number, value: object): void {
  res.writeHead(code, { 'Content-Type': 'application/json' }).end(JSON.stringify(value))
}
