import * as zlib from 'node:zlib'

/** A content coding (RFC 9110 section 8.4.1) that this package can make: zstd is RFC 8878's, br RFC 7932's, deflate the format of zlib (RFC 1950). */
export type Coding = 'zstd' | 'br' | 'gzip' | 'deflate'

/** Node's zlib with what not every version of it has. */
export interface ZlibOfNow {
  readonly createZstdCompress?: (options?: object) => Codec
  readonly createZstdDecompress?: (options?: object) => Codec
  readonly zstdCompressSync?: (bytes: Uint8Array, options?: object) => Buffer
  readonly zstdDecompressSync?: (bytes: Uint8Array, options?: object) => Buffer
  readonly constants: Readonly<Record<string, number>>
}

/** A stream of Node's zlib: what its parts have in common. */
export type Codec = zlib.Gzip

/** The same module, seen as it may be on a later Node. */
export const zlibOfNow = zlib as unknown as ZlibOfNow

/** Codings that this Node can make and read, the favourite first: where clients don't care the order decides. */
export const codings: readonly Coding[] =
  zlibOfNow.createZstdCompress === undefined ? ['br', 'gzip', 'deflate'] : ['zstd', 'br', 'gzip', 'deflate']
