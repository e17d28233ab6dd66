/** One end of a connection. */
export interface Endpoint {
  /** An IP address in its shortest form (RFC 5952), or the path of a Unix socket. */
  readonly address: string
  /** 0 for a Unix socket, and where nobody knows it. */
  readonly port: number
}

/** A field of version 2 beyond the addresses (section 2.2). */
export interface Tlv {
  /** A byte: 0x01 ALPN, 0x02 the name asked for, 0x03 the checksum, 0x20 TLS, and so on. */
  readonly type: number
  readonly value: Uint8Array
}

/** What a header says. */
export interface ProxyHeader {
  /**
   * `proxy`: the connection is relayed for a client. `local`: the sender speaks for itself (a health probe, say). Version 1
   * has no word for that and writes UNKNOWN, which reads as `proxy` and `unspec`.
   */
  readonly command: 'proxy' | 'local'
  /** `unspec`: the header names nobody, and the ends of the connection itself count. So it is with `local`. */
  readonly family: 'inet' | 'inet6' | 'unix' | 'unspec'
  /** Default `stream`. Version 1 has no word for `dgram` and writes UNKNOWN. */
  readonly transport?: 'stream' | 'dgram'
  /** Who has connected; unless `unspec`. */
  readonly source?: Endpoint
  /** What it has connected to; unless `unspec`. */
  readonly destination?: Endpoint
  /** Version 2 only, and not with `unspec`. Left out where there are none. */
  readonly tlvs?: readonly Tlv[]
}
