// No proxy: node:https with all that @sluice/tls brings, beside the floor, which is node:https alone.
import { createServer } from 'node:https'
import { certificates, serverTls, ticketKeys } from '@sluice/tls'
import { serve } from '../lib/announce.mjs'
import { fixedAnswer } from '../lib/fixed-answer.mjs'
import { certificate, scenario } from '../lib/told.mjs'

const tls = serverTls({ certificates: certificates(certificate), tickets: ticketKeys() })
const server = createServer(tls.options, fixedAnswer(scenario))
tls.attach(server)
serve(server)
