export { preferredType } from './accept.js'
export { type Authority, isAuthority, parseAuthority } from './authority.js'
export { editQuery, type QueryRules } from './edit-query.js'
export { isFieldName, isFieldValue } from './field.js'
export { fieldLine } from './field-line.js'
export { type FieldRuleSet, fieldRules } from './field-rules.js'
export {
  type ForwardedElement,
  type ForwardedNode,
  type ForwardedWalk,
  formatForwarded,
  parseForwarded,
  walkForwarded,
} from './forwarded.js'
export { cleanAddress, type ForwardedFor, walkForwardedFor } from './forwarded-for.js'
export { type Framing, judgeFraming } from './framing.js'
export { groupByName } from './group.js'
export { append, get, getAll, type HeaderList, has, remove, set } from './header-list.js'
export { type HopByHopOptions, withoutHopByHop } from './hop-by-hop.js'
export { http2Values } from './http2-values.js'
export { mapLinks } from './map-links.js'
export { type LocationMap, mapLocation } from './map-location.js'
export { mapRefresh } from './map-refresh.js'
export { maxForwards, setMaxForwards } from './max-forwards.js'
export { type MountedRequest, mountPath } from './mount-path.js'
export {
  judgePath,
  type PathJudgement,
  type PathMode,
  type PathModes,
  type PathRule,
} from './path-segments.js'
export { joinPath, parseRequestTarget, type RequestTarget } from './request-target.js'
export { type CookieClient, type CookieRules, rewriteSetCookie } from './rewrite-set-cookie.js'
export { asScheme, walkXForwarded, type XForwarded } from './x-forwarded.js'
