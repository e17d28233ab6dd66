// What is promised of GET with 100 bytes over 50 connections, as ratios of CPU a request.
export const goals = [
  { contender: 'sluice-forward', against: 'undici-bare', atMost: 1.1 },
  { contender: 'sluice-proxy', against: 'undici-bare', atMost: 1.25 },
  { contender: 'sluice-proxy', against: 'http-proxy-keepalive', atMost: 0.7 },
]
