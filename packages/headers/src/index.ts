export { preferredType } from './accept.js'
export { type Authority, isAuthority, parseAuthority } from './authority.js'
export {
  type ByteRange,
  type ByteRangeSpec,
  type ContentRange,
  contentRangeUnsatisfied,
  formatContentRange,
  parseByteRanges,
  parseContentRange,
  parseRange,
  resolveRanges,
} from './byte-range.js'
export {
  type Directives,
  parseCacheControl,
  parseDeltaSeconds,
  parseFieldNames,
  parseTargetedCacheControl,
  readDirectives,
} from './cache-control.js'
export {
  appendCacheStatus,
  type CacheStatus,
  type Forwarded,
  formatCacheStatus,
} from './cache-status.js'
export {
  type Conditions,
  conditions,
  conditionsOf,
  judgeConditions,
  type ValidatorFields,
} from './conditions.js'
export { contentCodings } from './content-codings.js'
export { editQuery, type QueryRules } from './edit-query.js'
export {
  type EntityTag,
  entityTagMembers,
  parseEntityTag,
  parseEntityTags,
  strongMatch,
  weakMatch,
} from './entity-tag.js'
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
export { type Framing, type FramingRule, judgeFraming } from './framing.js'
export { groupByName } from './group.js'
export { append, get, getAll, type HeaderList, has, isNamed, remove, set } from './header-list.js'
export { type HopByHopOptions, withoutHopByHop } from './hop-by-hop.js'
export { formatHttpDate, parseHttpDate } from './http-date.js'
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
export { varyNames, varyValue } from './vary.js'
export { asScheme, walkXForwarded, type XForwarded } from './x-forwarded.js'
