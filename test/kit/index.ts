export { type AccessSite, accessSite } from './access-site.js'
export { type TakenCertificate, takeCertificate } from './acme-order.js'
export { type Authority, pinOf, testAuthority } from './authority.js'
export { type TestCertificate, testCertificate } from './certificate.js'
export { type Answer, type Ask, type Call, type Head, type HttpClient, httpClient } from './client.js'
export { type ConsulInstance, type ConsulQuery, type ConsulServer, consulServer } from './consul-server.js'
export { type DeadTarget, deadTarget } from './dead-target.js'
export { type AnyMiddleware, type App, frameworks } from './frameworks.js'
export {
  attached,
  chainOf,
  type Front,
  type FrontKind,
  type FrontOptions,
  frontOf,
  fronts,
  http1Fronts,
  http2Fronts,
  listening,
  proxyOf,
  rawFronts,
  threeFronts,
  twoFronts,
} from './fronts.js'
export { type HandTimers, handTimers } from './hand-timers.js'
export { type HeaderRelay, type HeaderRelayOptions, headerRelays } from './header-relay.js'
export { heapInUse } from './heap.js'
export {
  type FrameClient,
  frameClient,
  frameTypes,
  type Http2Frame,
  http2Frame,
  settingsFrame,
} from './http2-frames.js'
export { type HeadAnswer, http2Head, type WrittenHead } from './http2-head.js'
export {
  type KubernetesEndpoint,
  type KubernetesQuery,
  type KubernetesServer,
  type KubernetesSlice,
  kubernetesServer,
} from './kubernetes-server.js'
export { type LeakCheck, leakCheck } from './leak-check.js'
export { listen, type Mount, type Mounted, mountNamed, mounts } from './mounts.js'
export { type NameRecord, type NameServer, nameServer } from './name-server.js'
export { type Observer, observer } from './observer.js'
export {
  answerOk,
  echo,
  type Origin,
  type OriginHandler,
  type OriginRequest,
  originServer,
} from './origin-server.js'
export { type Closable, owner } from './owner.js'
export { hasPebble, type Pebble, type PebbleOptions, pebble, startPatience } from './pebble.js'
export { type Program, program } from './program.js'
export { type Proxied, proxiedTo } from './proxied.js'
export { answering, type RawConnection, type RawOrigin, rawOrigin } from './raw-origin.js'
export {
  parseResponses,
  type RawClient,
  type RawExchange,
  type RawResponse,
  rawClient,
  rawRequest,
  value,
  values,
} from './raw-request.js'
export { hasRedis, type RedisServer, redisClient, redisServer } from './redis-server.js'
export { type Relay, relayTo } from './relay.js'
export { type SecureOrigin, secureOrigin } from './secure-origin.js'
export { seeded } from './seeded.js'
export { shared } from './shared.js'
export { skipUnless } from './skip.js'
export {
  hmacSigned,
  type SigningKey,
  signed,
  signingKey,
  type TokenIssuer,
  tokenIssuer,
} from './token-issuer.js'
export { trapUnhandled } from './trap-unhandled.js'
export { atRest, type Deferred, deferred, patience, until, within } from './until.js'
export { warningsOf } from './warnings.js'
export { type Watched, watched } from './watched.js'
export { withRedis } from './with-redis.js'
export { lockedKey, type X509Issuer, type X509Pair, x509Root, x509SelfSigned } from './x509.js'
