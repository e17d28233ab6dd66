export { ageField, bornAt, currentAge, withAge } from './age.js'
export { type FreshBy, type Freshness, freshness } from './freshness.js'
export { invalidates } from './invalidation.js'
export { keepUntil, type Life, life } from './life.js'
export {
  noDirectives,
  parseRequestDirectives,
  type RequestDirectives,
  requestDirectives,
} from './request-directives.js'
export { type ResponseDirectives, responseDirectives } from './response-directives.js'
export { mayServeOnError, type Reuse, reuse, type Use } from './reuse.js'
export { isHeuristic, isStorable, isUnderstood } from './status-codes.js'
export { storable, storedFields, type Unstorable } from './storable.js'
export { tagsOf } from './tags.js'
export {
  type PolicyOptions,
  type PolicyRequest,
  type PolicyResponse,
  policyDefaults,
  type StoredResponse,
} from './types.js'
export { freshen, headUpdates, matchesValidator, validators } from './validation.js'
