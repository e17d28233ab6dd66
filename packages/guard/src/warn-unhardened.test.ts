import { createServer } from 'node:http'
import { expect, it } from 'vitest'
import { until } from '../../../test/kit/until.js'
import { warningsOf } from '../../../test/kit/warnings.js'
import { harden } from './harden.js'
import { warnUnhardened } from './warn-unhardened.js'

const warnings = warningsOf('SluiceWarning')

it('says once of each server that its limits are off', async () => {
  const servers = [createServer(), createServer()]
  for (const server of [...servers, ...servers]) warnUnhardened(server, true)
  await until(() => warnings.length >= 2, 'warnings')
  await new Promise((resolve) => setImmediate(resolve))
  expect(warnings).toHaveLength(2)
  expect(warnings[0]).toContain('call harden(server) of @sluice/guard')
})

it('says nothing of a server that is hardened, nor where nobody has asked for limits', async () => {
  const server = createServer()
  harden(server)
  warnUnhardened(server, true)
  warnUnhardened(createServer(), false)
  warnUnhardened(createServer(), true)
  await until(() => warnings.length > 0, 'the warning of the last one')
  expect(warnings).toHaveLength(1)
})
