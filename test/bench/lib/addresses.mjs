const schemes = { http: 'http', https: 'https', h2: 'https', websocket: 'ws' }

/** Where clients of a scenario reach a server of the run. */
export function addressOf({ front }, port) {
  return `${schemes[front]}://127.0.0.1:${port}/`
}
