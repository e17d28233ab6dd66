// What is compared: policies, each as it is made for one run, and who watches the servers.
import * as policies from '@sluice/balance'
import { ejection, monitor } from '@sluice/health'

const keyOf = ({ key }) => key

/** By name: `(random) => Balancer`. */
export const contenders = {
  'round-robin': () => policies.roundRobin(),
  'weighted-round-robin': () => policies.weightedRoundRobin(),
  random: (random) => policies.random({ random }),
  'weighted-random': (random) => policies.weightedRandom({ random }),
  'least-requests': (random) => policies.leastRequests({ random }),
  'power-of-two': (random) => policies.powerOfTwo({ random }),
  'peak-ewma': (random) => policies.peakEwma({ random }),
  rendezvous: (random) => policies.rendezvous(keyOf, { random }),
  ring: (random) => policies.ring(keyOf, { random }),
  maglev: (random) => policies.maglev(keyOf, { random }),
  'bounded ring': (random) => policies.boundedLoad(policies.ring(keyOf, { random }), 1.25),
}

/** By name: `(upstream, servers) => Disposable[]`. */
export const watches = {
  none: () => [],
  ejection: (upstream) => [ejection(upstream)],
  probes: (upstream, servers) => [
    monitor(
      upstream,
      async ({ url }) => {
        const server = servers.get(url)
        if (server.mode !== 'up') throw new Error(server.mode)
      },
      { interval: '1s' },
    ),
  ],
}
