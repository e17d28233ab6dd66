import { createServer } from 'node:http'
import { serve } from '../lib/announce.mjs'
import { echo } from '../lib/echo.mjs'

serve(echo(createServer()))
