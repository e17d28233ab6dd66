export type { HeaderList } from '@sluice/headers'
export { type AttachableServer, attach } from './attach.js'
export { toBody, toReadable } from './bodies.js'
export { type Body, type BodyInit, type EndSink, isBody, type Sink, type Spent } from './body.js'
export {
  type Chain,
  type Check,
  chain,
  checkedLayer,
  type Handler,
  type Layer,
  type Middleware,
} from './chain.js'
export { type Client, type ClientAddressOptions, clientAddress } from './client-address.js'
export type { Context, Outbound, Outcome } from './context.js'
export { endConnectionIf } from './end-connection.js'
export { endOfTurn } from './end-of-turn.js'
export { endsBefore, noteEnd } from './ending-connection.js'
export { type ErrorPagesOptions, errorPages, type Pages } from './error-pages.js'
export { errorReply } from './error-reply.js'
export { freeMemory } from './free-memory.js'
export { type ConnectMiddleware, fromConnect } from './from-connect.js'
export { type AnyListener, fromListener } from './from-listener.js'
export { type HookResult, onError, onRequest, onResponse } from './hooks.js'
export { isInPlace } from './in-place.js'
export { inform } from './inform.js'
export { type Ingress, ingress } from './ingress.js'
export { lingeringClose } from './lingering-close.js'
export { type Linked, LinkedList } from './linked-list.js'
export {
  type InboundRequest,
  type InboundResponse,
  type Next,
  toListener,
} from './mount.js'
export { isOwnPage } from './own-page.js'
export type { Page, PageError, PageForms } from './page.js'
export { errorPagesOptions, pagesOptions } from './page-options.js'
export {
  asProxyError,
  type ErrorPhase,
  type ErrorSource,
  ProxyError,
  type ProxyErrorCode,
  type ProxyErrorOptions,
  proxyErrors,
  withFields,
} from './proxy-error.js'
export { publicAuthority, publicPath } from './public-url.js'
export { PushBody } from './push-body.js'
export { RelayBody } from './relay-body.js'
export { ReplayBody } from './replay-body.js'
export { discard, onBodyEnd, type Reply, unhandled, type Variants } from './reply.js'
export { clientBody, RequestBody } from './request-body.js'
export { resetSocket } from './reset-socket.js'
export { statusFields } from './status-fields.js'
export { type Rest, type RestOptions, toConnect } from './to-connect.js'
export {
  type BodyTransform,
  type TransformOptions,
  transformRequest,
  transformResponse,
} from './transform-body.js'
export { toUpgradeListener, type UpgradeOptions } from './tunnel-mount.js'
export { turnTime } from './turn-time.js'
export { editUnhandled } from './unhandled-answer.js'
export { watchQueued } from './watch-queued.js'
export type { WebTransform } from './web-duplex.js'
export { writeSpent } from './write-spent.js'
