import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { until } from './until.js'

/** An instance as Consul's health endpoint tells of it; what a test leaves out is as Consul has it by default. */
export interface ConsulInstance {
  node?: string
  address?: string
  port: number
  tags?: string[]
  weights?: { Passing: number; Warning: number } | null
  status?: 'passing' | 'warning' | 'critical'
  zone?: string
}

/** A question as it came. */
export interface ConsulQuery {
  readonly path: string
  readonly params: URLSearchParams
  readonly headers: IncomingMessage['headers']
  /** It has not been answered yet. */
  readonly open: boolean
}

/** An agent of Consul's, as far as blocking queries on the health of a service go. */
export interface ConsulServer {
  readonly url: string
  readonly queries: readonly ConsulQuery[]
  /** Connections open now. */
  readonly sockets: number
  /** Puts other instances in place, at the next index or a given one, and answers who waits for a higher one. */
  set(instances: ConsulInstance[], index?: number): void
  /** Ends the wait of whoever waits, as its time does. */
  expire(): void
  /** What is answered instead, for as long as it stands. */
  broken: ((res: ServerResponse) => void) | undefined
  /** Waits for the question of that number, from 0. */
  query(number: number): Promise<ConsulQuery>
  close(): Promise<void>
}

/**
 * Starts one. The format is that of https://developer.hashicorp.com/consul/api-docs/health and of blocking queries: a question with
 * an index is held until there is a higher one, and every answer tells its own in X-Consul-Index.
 */
export async function consulServer(
  service: string,
  instances: ConsulInstance[] = [],
  token?: string,
): Promise<ConsulServer> {
  let current = instances
  let index = 10
  const queries: {
    path: string
    params: URLSearchParams
    headers: IncomingMessage['headers']
    open: boolean
    answer(): void
  }[] = []
  const sockets = new Set<Socket>()
  const consul: { broken: ConsulServer['broken'] } = { broken: undefined }
  const server = createServer((req, res) => {
    const { pathname, searchParams: params } = new URL(req.url ?? '', 'http://consul')
    const query = {
      path: pathname,
      params,
      headers: req.headers,
      open: true,
      answer() {
        query.open = false
        res.setHeader('Content-Type', 'application/json')
        res.setHeader('X-Consul-Index', String(index))
        res.setHeader('X-Consul-Knownleader', 'true')
        res.setHeader('X-Consul-Lastcontact', '0')
        res.end(
          JSON.stringify(
            current.filter((each) => fits(each, params)).map((each, i) => entryOf(each, service, i)),
          ),
        )
      },
    }
    queries.push(query)
    const refuse = (status: number, text: string): void => {
      query.open = false
      res.writeHead(status, { 'Content-Type': 'text/plain' }).end(text)
    }
    if (consul.broken !== undefined) {
      query.open = false
      consul.broken(res)
    } else if (token !== undefined && req.headers['x-consul-token'] !== token)
      refuse(403, 'rpc error making call: Permission denied: token lacks permission')
    else if (pathname !== `/v1/health/service/${encodeURIComponent(service)}`) refuse(404, 'Invalid URL path')
    else if (Number(params.get('index') ?? 0) < index) query.answer()
    else res.on('close', () => (query.open = false))
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const answerAll = (): void => {
    for (const query of queries) if (query.open) query.answer()
  }
  return Object.assign(consul, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    queries,
    get sockets() {
      return sockets.size
    },
    set(next: ConsulInstance[], at = index + 1) {
      const more = at > index
      current = next
      index = at
      if (more) answerAll()
    },
    expire: answerAll,
    query: (number: number) => until(() => queries[number], `question ${number} to Consul`),
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  })
}

function fits({ status = 'passing', tags = [] }: ConsulInstance, params: URLSearchParams): boolean {
  if (params.get('passing') === 'true' && status !== 'passing') return false
  return params.getAll('tag').every((tag) => tags.includes(tag))
}

function entryOf(instance: ConsulInstance, service: string, number: number): unknown {
  const { node = '10.1.0.1', address = '', port, tags = [], status = 'passing', zone } = instance
  const { weights = { Passing: 1, Warning: 1 } } = instance
  const id = `${service}-${number}`
  const locality = zone === undefined ? {} : { Locality: { Region: 'eu', Zone: zone } }
  return {
    Node: {
      ID: '40e4a748-2192-161a-0510-9bf59fe950b5',
      Node: `node-${number}`,
      Address: node,
      Datacenter: 'dc1',
      Meta: null,
    },
    Service: {
      ID: id,
      Service: service,
      Tags: tags,
      Address: address,
      Port: port,
      Weights: weights,
      ...locality,
    },
    Checks: [
      { CheckID: 'serfHealth', Name: 'Serf Health Status', Status: 'passing', ServiceID: '' },
      { CheckID: `service:${id}`, Name: 'check', Status: status, ServiceID: id },
    ],
  }
}
