// What is promised, as ratios of CPU a request, and where it is promised.
export const setting = { scenario: 'get-100b', connections: 50 }

export const goals = [
  { contender: 'sluice-forward', against: 'undici-bare', atMost: 1.1 },
  { contender: 'sluice-proxy', against: 'undici-bare', atMost: 1.25 },
  { contender: 'sluice-proxy', against: 'http-proxy-keepalive', atMost: 0.7 },
]
