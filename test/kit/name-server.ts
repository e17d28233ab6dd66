import DNS from 'dns2'

/** A record as a test writes it. */
export type NameRecord =
  | { type: 'A' | 'AAAA'; address: string; ttl?: number }
  | { type: 'SRV'; target: string; port: number; priority?: number; weight?: number; ttl?: number }

/** A name server on 127.0.0.1, over UDP. */
export interface NameServer {
  /** For `Resolver.setServers`. */
  readonly address: string
  /** Records by name, to be changed at will. A name without an entry is NXDOMAIN, one with none of a type NODATA. */
  readonly records: Map<string, NameRecord[]>
  /** `A api.test` and the like, as they were asked. */
  readonly asked: string[]
  /** Types that are answered SERVFAIL. */
  readonly failing: Set<string>
  close(): Promise<void>
}

const { Packet, createServer } = DNS

/** Starts a name server. */
export async function nameServer(records: Record<string, NameRecord[]> = {}): Promise<NameServer> {
  const zone = new Map(Object.entries(records))
  const asked: string[] = []
  const failing = new Set<string>()
  const server = createServer({
    udp: true,
    handle(request, send) {
      const response = Packet.createResponseFromRequest(request)
      const { name, type } = request.questions[0] as DNS.Packet.Question
      const typeName = Object.entries(Packet.TYPE).find(([, value]) => value === type)?.[0] ?? String(type)
      asked.push(`${typeName} ${name}`)
      const found = zone.get(name.toLowerCase())
      if (failing.has(typeName)) response.header.rcode = 2
      else if (found === undefined) response.header.rcode = 3
      for (const record of failing.has(typeName) ? [] : (found ?? [])) {
        if (record.type === typeName)
          response.answers.push({
            priority: 0,
            weight: 0,
            ttl: 60,
            ...record,
            name,
            type,
            class: Packet.CLASS.IN,
          } as never)
      }
      void send(response)
    },
  })
  const { udp } = (await server.listen({ udp: { port: 0, address: '127.0.0.1' } })) as {
    udp: { port: number }
  }
  return {
    address: `127.0.0.1:${udp.port}`,
    records: zone,
    asked,
    failing,
    async close() {
      await server.close()
    },
  }
}
