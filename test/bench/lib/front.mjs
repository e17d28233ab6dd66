// The server that a Node contender stands in: what clients speak decides which.
import { createServer } from 'node:http'
import { createSecureServer } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import { certificate, scenario } from './told.mjs'

const makers = {
  http: createServer,
  https: (...listeners) => createHttpsServer(certificate, ...listeners),
  h2: (...listeners) => createSecureServer(certificate, ...listeners),
  websocket: createServer,
}

/** @returns a server for the clients of this scenario, which doesn't listen yet */
export function createFront(onRequest, onUpgrade) {
  const server = makers[scenario.front](...(onRequest === undefined ? [] : [onRequest]))
  if (onUpgrade !== undefined) server.on('upgrade', onUpgrade)
  return server
}
