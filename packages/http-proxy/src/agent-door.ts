import type { Agent, ClientRequest } from 'node:http'

/** An agent as Node's client knows it. */
type Door = Agent & { addRequest(request: ClientRequest, ...rest: unknown[]): void }

/**
 * An agent with a door of its own: Node's client passes through it as soon as http-proxy has made its request.
 * @param enters told of that request before the agent is
 */
export function doorTo(agent: Agent, enters: (request: ClientRequest) => void): Agent {
  const behind = agent as Door
  const door = Object.create(behind) as Door
  // A connection keeps the options of its first request for as long as it lives, this door among them: whoever was told through it would stay in
  // memory, with the socket of its client and its body. There is no second request: redirects aren't followed.
  let told: typeof enters | undefined = enters
  door.addRequest = (request, ...rest) => {
    told?.(request)
    told = undefined
    behind.addRequest(request, ...rest)
  }
  return door
}
