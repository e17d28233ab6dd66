// A TLS server in a process of its own, whose ticket keys come from a secret that others have too. Says `port: …`; each SIGUSR2 ends the
// period of its key, and it says `rotated`.
// node ticket-server.mjs <folder with cert.pem and key.pem> <secret>
import { join } from 'node:path'
import { createServer } from 'node:tls'
import { certificates, serverTls, ticketKeys } from '@sluice/tls'

const [, , folder, secret] = process.argv
const hour = 3_600_000
let ahead = 0
process.on('SIGUSR2', () => {
  ahead += hour
  console.log('rotated')
})

const tls = serverTls({
  certificates: certificates({ certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') }),
  tickets: ticketKeys({ secret, rotate: hour, keep: 1, clock: () => Date.now() + ahead }),
})
const server = createServer(tls.options, (socket) => {
  socket.on('error', () => {})
  socket.end('served\n')
})
tls.attach(server)
server.listen(0, '127.0.0.1', () => console.log(`port: ${server.address().port}`))
