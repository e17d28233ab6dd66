/**
 * Whether fields of a request on HTTP/2 are those of a call of gRPC: a conversation, in which there may be nothing to say for long. Its clients send
 * `TE: trailers`, and no length (the protocol of gRPC over HTTP/2); a type alone anybody may write. Calls of gRPC-Web, `application/grpc-web`, are none.
 */
export function isGrpcCall(
  type: string | undefined,
  te: string | string[] | undefined,
  length: string | undefined,
): boolean {
  return (
    length === undefined &&
    te === 'trailers' &&
    type !== undefined &&
    /^application\/grpc(?:[+;]|$)/i.test(type)
  )
}
