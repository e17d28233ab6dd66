export { type Route, route } from './middleware.js'
export { type RouteMatch, routeMatchEntries } from './route-match.js'
export { createRouter, type Found, type RoutedRequest, type Router } from './router.js'
